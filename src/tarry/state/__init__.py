"""What outlives a request: stores of entries and logs, in memory or in a file of SQLite.

Values are bytes here; what they mean is known to those who keep them.
"""
