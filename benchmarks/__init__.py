"""Measures Tarry side by side with other servers: `python -m benchmarks`.

Read in this order: `rows` (what is measured), `contenders` (who takes part),
`load` (the load generators), `measure` (rounds, medians, ratios), `report`.
"""
