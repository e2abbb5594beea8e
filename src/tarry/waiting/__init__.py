"""Requests that wait: for one value (waits), for many (topics), on any connection (holds)."""
