"""Content types of files, by the last suffix of their names.

The same on every machine: nothing is read from the registries of the system,
and where the tables of Python's versions differ, ours decides.
"""

import mimetypes
from functools import cache
from typing import Final

UNKNOWN: Final = "application/octet-stream"

_OURS: Final = {
    ".avif": "image/avif",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".css": "text/css",
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".gz": "application/gzip",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".ics": "text/calendar",
    ".js": "text/javascript",  # RFC 9239
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".map": "application/json",
    ".md": "text/markdown",  # RFC 7763
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".ts": "video/mp2t",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",  # RFC 9512
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
"""What systems disagree about, or do not know; a compressed file is what its suffix says."""


def content_type_of(name: str) -> str:
    """The Content-Type of a file name; text is said to be UTF-8."""
    _, dot, suffix = name.rpartition("/")[2].rpartition(".")
    kind = _table().get(dot + suffix.lower(), UNKNOWN)
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


@cache
def _table() -> dict[str, str]:
    # Made at first use: mimetypes takes milliseconds, which a start need not wait for.
    return mimetypes.MimeTypes().types_map[True] | _OURS
