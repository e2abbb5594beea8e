"""Helpers of the developers: what reads the source and reports on it."""
