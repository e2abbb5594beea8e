"""Content-Disposition of a part of a form: its name and file name (RFC 7578 section 4.2).

The name inside the quotes is written in two ways.  Browsers encode `"`, CR and
LF by percent and nothing else, not even a backslash (HTML, "multipart/form-data
encoding algorithm"); older programs put a backslash before `"` (RFC 9110
section 5.6.4).  Both are read, and what fits neither is refused.
"""

import re
from typing import Final, NamedTuple

from tarry.message.forms import InvalidForm
from tarry.message.target import InvalidTarget, decode_segment

# Possessive quantifiers, so that no input is looked at twice.
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105 — because it is a grammar
_END: Final = r"(?=[\t ]*+(?:;|\Z))"
_TYPE: Final = re.compile(r"form-data(?=[\t ]*+;)", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    rf'[\t ]*+;[\t ]*+({_TOKEN})[\t ]*+=[\t ]*+(?:({_TOKEN})|"((?:[^"\\]|\\.)*+)"{_END}'
    # A file name that ends in a backslash, as browsers send it.
    rf'|"([^"]*+)"{_END})'
)
_REST: Final = re.compile(r"[\t ]*+;?[\t ]*+")
_ESCAPED: Final = re.compile(r'\\([\\"])')
_PERCENT: Final = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_ENCODED: Final = re.compile("|".join(_PERCENT))


class Disposition(NamedTuple):
    """The name of a part, and that of its file if it has one."""

    name: str
    filename: str | None


def parse_form_data(value: str) -> Disposition:
    """Name and file name in the Content-Disposition of a part.

    `filename*` (RFC 8187) wins over `filename`, whichever comes first.  Other
    parameters do not count.

    Raises:
        InvalidForm: no `form-data`, no name, a parameter that is malformed or
            comes twice, a `filename*` that is not percent-encoded UTF-8, or
            any other name with a star (RFC 2231 continuations): what a filter
            takes for the name has to be what the handler gets.
    """
    params = _params(value)
    for name in params:
        if "*" in name and name != "filename*":
            raise InvalidForm("a part has a parameter with a star that is not filename*")
    if "name" not in params:
        raise InvalidForm("a part has no name")
    extended = params.get("filename*")
    filename = params.get("filename") if extended is None else _extended(extended)
    return Disposition(params["name"], filename)


def _params(value: str) -> dict[str, str]:
    start = _TYPE.match(value)
    if start is None:
        raise InvalidForm("a part is no form-data, or has no name")
    params: dict[str, str] = {}
    position = start.end()
    while match := _PARAMETER.match(value, position):
        position = match.end()
        name = match[1].lower()
        if name in params:
            raise InvalidForm("a part has a parameter twice in its Content-Disposition")
        params[name] = match[2] if match[2] is not None else _unquoted(match[3] or match[4] or "")
    if not _REST.fullmatch(value, position):
        raise InvalidForm("a part has a malformed Content-Disposition")
    return params


def _unquoted(text: str) -> str:
    if '\\"' in text:
        return _ESCAPED.sub(r"\1", text)
    return _ENCODED.sub(lambda match: _PERCENT[match[0]], text)


def _extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    _language, quote, encoded = rest.partition("'")
    if charset.lower() != "utf-8" or not quote:
        raise InvalidForm("a filename* does not begin with UTF-8''")
    try:
        return decode_segment(encoded.encode())
    except InvalidTarget as error:
        raise InvalidForm(f"a filename* does not decode: {error}") from None
