"""Clients and clocks for the tests of an application."""
