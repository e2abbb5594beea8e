"""The program `tarry`: its command line."""
