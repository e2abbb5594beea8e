"""Values of HTTP: heads, targets, cookies, dates, media types.

No sockets, no clock, no knowledge of servers or routes: functions and small
objects that turn text into values and values into text.
"""
