"""Fuzzers: random and nearly valid input for all that reads what a client sends.

`python -m fuzz --help` says how to run them; a fuzzer is a `Target` in one of the modules here.
"""
