"""Sockets, connections and processes: events become an exchange."""
