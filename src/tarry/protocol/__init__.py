"""Engines: bytes become events, answers become bytes; no sockets, no clock, no await."""
