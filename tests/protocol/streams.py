"""Byte streams of HTTP/1.1: valid ones with what they mean, and malformed requests by name."""

from __future__ import annotations

VALID = {
    "get": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "query": b"GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com:8000\r\nAccept: */*\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
    "an empty line before": b"\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "white space around a value": b"GET / HTTP/1.1\r\nhost: a\r\nx: \t b c \t\r\n\r\n",
    "empty value": b"GET / HTTP/1.1\r\nhost: a\r\nx:\r\n\r\n",
    "latin-1 value": b"GET / HTTP/1.1\r\nhost: a\r\nx: caf\xe9\r\n\r\n",
    "absolute form": b"GET http://b:80/x?y HTTP/1.1\r\nhost: a\r\n\r\n",
    "options of the server": b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "unknown method": b"BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n",
    "http/1.0": b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "content-length": b"POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    "content-length 0": b"POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
    "get with a body": b"GET /p HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n\r\n\r",
    "body like a head": (
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 27\r\n\r\nGET / HTTP/1.1\r\nhost: b\r\n\r\n"
    ),
    "chunked": (
        b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n00A\r\n 0123\r\n\r\n9\r\n0\r\n\r\n"
    ),
    "chunk extensions": (
        b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n"
        b'1;a=b ; c="d;\\"";e\r\nx\r\n0\r\n\r\n'
    ),
    "trailers": (
        b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\nchecksum: 12\r\nother: y\r\n\r\n"
    ),
    "expect": (
        b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi"
    ),
}

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_AFTER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

MALFORMED = {
    # ---- the request line
    "not HTTP at all": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "two spaces after the method": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two spaces before the version": (400, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    "tab in the request line": (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space after the version": (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    "space before the method": (400, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no target": (400, b"GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no method": (400, b"/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two empty lines before": (400, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower-case method": (400, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "method that is no token": (400, b'G=": / HTTP/1.1\r\nHost: a\r\n\r\n'),
    "method of 33 characters": (400, b"M" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "CONNECT": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    "version 1.2": (400, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "version 1.32": (400, b"GET / HTTP/1.32\r\nHost: a\r\n\r\n"),
    "version 2.0": (400, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "version 0.9": (400, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    "version in lower case": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "version with a comma": (400, b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    # ---- the target
    "target without slash": (400, b"GET index HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target @host": (400, b"GET @google.com/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target !": (400, b"GET ! HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target * with GET": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fragment in the target": (400, b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "byte beyond ASCII in the target": (400, b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "NUL in the target": (400, b"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "DEL in the target": (400, b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute form of another scheme": (400, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute form with userinfo": (400, b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute form without host": (400, b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target over the limit": (414, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    # ---- Host
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "empty Host": (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "the same Host twice": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "Host with userinfo": (400, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    "Host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "Host with a query": (400, b"GET / HTTP/1.1\r\nHost: a/?\r\n\r\n"),
    "Host with a comma": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "Host with a space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "Host with a port that is none": (400, b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    "Host with a port too high": (400, b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    "absolute form without Host": (400, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    # ---- fields
    "space before the colon": (400, _GET + b"X : y\r\n\r\n"),
    "tab before the colon": (400, _GET + b"X\t: y\r\n\r\n"),
    "folded field": (400, _GET + b"X: y\r\n z\r\n\r\n"),
    "folded with a tab": (400, _GET + b"X: y\r\n\tz\r\n\r\n"),
    "white space before the first field": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "field without colon": (400, _GET + b"nonsense\r\n\r\n"),
    "field without name": (400, _GET + b": y\r\n\r\n"),
    "name beyond ASCII": (400, _GET + b"\xefX: y\r\n\r\n"),
    "name with a space": (400, _GET + b"X Y: z\r\n\r\n"),
    "name with brackets": (400, _GET + b"X[]: z\r\n\r\n"),
    "NUL in a value": (400, _GET + b"X: a\x00b\r\n\r\n"),
    "vertical tab in a value": (400, _GET + b"X: a\x0bb\r\n\r\n"),
    "bare LF after a field": (400, _GET + b"X: y\nY: z\r\n\r\n"),
    "bare LF after the request line": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "bare CR in a value": (400, _GET + b"X: a\rb\r\n\r\n"),
    "101 fields": (431, _GET + b"X: y\r\n" * 100 + b"\r\n"),
    "field over the limit": (431, _GET + b"X: " + b"y" * 16_384 + b"\r\n\r\n"),
    "head over the limit": (431, _GET + (b"X: " + b"y" * 9_000 + b"\r\n") * 8 + b"\r\n"),
    "unknown expectation": (417, _POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n"),
    # ---- the length of the body
    "CL and TE": (
        400,
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _AFTER,
    ),
    "TE and CL": (
        400,
        _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + _AFTER,
    ),
    "two different CL": (400, _POST + b"Content-Length: 1\r\nContent-Length: 0\r\n\r\nx" + _AFTER),
    "the same CL twice": (400, _POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    "list in CL": (400, _POST + b"Content-Length: 5, 5\r\n\r\nhello"),
    "CL +5": (400, _POST + b"Content-Length: +5\r\n\r\nhello"),
    "CL -1": (400, _POST + b"Content-Length: -1\r\n\r\n"),
    "CL 0x5": (400, _POST + b"Content-Length: 0x5\r\n\r\nhello"),
    "CL 1_0": (400, _POST + b"Content-Length: 1_0\r\n\r\nhelloworld"),
    "CL 5Z": (400, _POST + b"Content-Length: 5Z\r\n\r\nhello"),
    "CL empty": (400, _POST + b"Content-Length:\r\n\r\n"),
    "CL of 2^64": (400, _POST + b"Content-Length: 18446744073709551616\r\n\r\n"),
    "TE xchunked": (501, _POST + b"Transfer-Encoding: xchunked\r\n\r\n"),
    "TE gzip": (501, _POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "TE identity": (501, _POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "TE empty": (400, _POST + b"Transfer-Encoding:\r\n\r\n"),
    "TE twice": (
        400,
        _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "TE with a vertical tab": (400, _POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "TE on HTTP/1.0": (
        400,
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    # ---- chunks
    "chunk size with 0x": (400, _CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n"),
    "chunk size with +": (400, _CHUNKED + b"+1\r\nx\r\n0\r\n\r\n"),
    "chunk size with -": (400, _CHUNKED + b"-1\r\nx\r\n0\r\n\r\n"),
    "chunk size with _": (400, _CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    "chunk size of 17 digits": (400, _CHUNKED + b"00000000000000001\r\nx\r\n0\r\n\r\n"),
    "chunk size after a space": (400, _CHUNKED + b" 1\r\nx\r\n0\r\n\r\n"),
    "chunk size before a space": (400, _CHUNKED + b"1 \r\nx\r\n0\r\n\r\n"),
    "chunk size empty": (400, _CHUNKED + b"\r\nx\r\n0\r\n\r\n"),
    "chunk size with bare LF": (400, _CHUNKED + b"1\nx\r\n0\r\n\r\n"),
    "chunk longer than its size": (400, _CHUNKED + b"5\r\nhelloXX0\r\n\r\n"),
    "chunk ended by bare LF": (400, _CHUNKED + b"5\r\nhello\n0\r\n\r\n"),
    "chunk ended by bare CR": (400, _CHUNKED + b"5\r\nhello\r0\r\n\r\n"),
    "chunk extension with LF": (400, _CHUNKED + b"5;\nx\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with NUL": (400, _CHUNKED + b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with CR": (400, _CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension that is no token": (400, _CHUNKED + b"5;a[]\r\nhello\r\n0\r\n\r\n"),
    "chunk extension without name": (400, _CHUNKED + b"5;\r\nhello\r\n0\r\n\r\n"),
    "chunk extension over the limit": (400, _CHUNKED + b"5;" + b"a" * 300 + b"\r\nhello\r\n"),
    "trailer section over the limit": (431, _CHUNKED + b"0\r\n" + b"x: y\r\n" * 1366 + b"\r\n"),
    "malformed trailer": (400, _CHUNKED + b"0\r\nnonsense\r\n\r\n"),
    "trailer with bare LF": (400, _CHUNKED + b"0\r\nx: y\nz: w\r\n\r\n"),
    "Content-Length as a trailer": (400, _CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n"),
    "Transfer-Encoding as a trailer": (400, _CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "Host as a trailer": (400, _CHUNKED + b"0\r\nHost: b\r\n\r\n"),
}
"""Name → expected status and bytes; each ends the connection."""
