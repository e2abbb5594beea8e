"""What outlives a request: stores of entries and logs, and a cache.

Values are bytes here; what they mean is known to those who keep them.
"""
