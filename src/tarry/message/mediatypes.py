"""Media types and their negotiation (RFC 9110 sections 8.3.1 and 12.5.1)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

# Possessive quantifiers, so that no input is looked at twice.
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105 — because it is a grammar
_QUOTED: Final = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_ESSENCE: Final = re.compile(rf"[\t ]*+({_TOKEN})/({_TOKEN})")
_PARAMETER: Final = re.compile(rf"[\t ]*+;[\t ]*+(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_SPACES: Final = re.compile(r"[\t ]++")
_GAP: Final = re.compile(r"[\t ,]++")
_ESCAPED: Final = re.compile(r"\\(.)")
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")

_PLAIN_JSON: Final = frozenset(
    ["application/json"]
    + [f"application/json;{gap}charset={utf}" for gap in ("", " ") for utf in ("utf-8", "UTF-8")]
)
"""What nearly all clients write, so that their bodies cost no parsing here."""


class MediaType(NamedTuple):
    """A media type; `type`, `subtype` and the names of `params` are lower-case."""

    type: str
    subtype: str
    params: dict[str, str]

    @property
    def essence(self) -> str:
        """Type and subtype without parameters: `text/html`."""
        return f"{self.type}/{self.subtype}"


def parse_media_type(value: str) -> MediaType | None:
    """The media type in a Content-Type, `None` if it is malformed.

    A parameter given twice counts as malformed: what a filter takes for the
    boundary or charset has to be what the reader takes.
    """
    media, end = _scan(value, 0)
    return media if end == len(value) else None


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is `application/json` or `application/*+json` (RFC 6839)."""
    if content_type in _PLAIN_JSON:
        return True
    media = parse_media_type(content_type)
    if media is None or media.type != "application":
        return False
    return media.subtype == "json" or media.subtype.endswith("+json")


def best_match(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the client likes best, `None` if it wants none of them.

    For each offer the most specific range of `accept` decides; `q=0` excludes.
    Of equally liked offers the one named more specifically wins, so that
    `text/html, */*` means HTML, then the one offered first.  A missing or
    malformed `accept` takes the first offer.

    Raises:
        ValueError: an offer that is no media type.
    """
    ranges = _parse_accept(accept) if accept else None
    if not ranges or not offers:
        return next(iter(offers), None)
    weight, _, place = max(
        (*_weigh(_offered(offer), ranges), -place) for place, offer in enumerate(offers)
    )
    return offers[-place] if weight > 0 else None


class _Range(NamedTuple):
    """One element of Accept."""

    media: MediaType
    weight: float


def _parse_accept(accept: str) -> list[_Range] | None:
    ranges = []
    position = _after(_GAP, accept, 0)
    while position < len(accept):
        media, position = _scan(accept, position)
        found = _weighted(media) if accept[position : position + 1] in {",", ""} else None
        if found is None:
            return None
        ranges.append(found)
        position = _after(_GAP, accept, position)
    return ranges


def _weighted(media: MediaType | None) -> _Range | None:
    if media is None or (media.type == "*" != media.subtype):
        return None
    weight = media.params.pop("q", "1")
    return _Range(media, float(weight)) if _WEIGHT.fullmatch(weight) else None


def _offered(offer: str) -> MediaType:
    media = parse_media_type(offer)
    if media is None:
        raise ValueError(f"the offer {offer!r} is no media type")
    return media


def _weigh(offer: MediaType, ranges: list[_Range]) -> tuple[float, int]:
    fits = ((_fit(wanted, offer), weight) for wanted, weight in ranges)
    specificity, weight = max((each for each in fits if each[0]), default=(0, 0.0))
    return weight, specificity


def _fit(wanted: MediaType, offer: MediaType) -> int:
    """How specifically a range names an offer, 0 if it does not."""
    if wanted.type not in {"*", offer.type} or wanted.subtype not in {"*", offer.subtype}:
        return 0
    if not all(_agrees(name, value, offer) for name, value in wanted.params.items()):
        return 0
    return 1 + (wanted.type != "*") + (wanted.subtype != "*") + len(wanted.params)


def _agrees(name: str, value: str, offer: MediaType) -> bool:
    given = offer.params.get(name)
    if given is None:
        # Many clients ask for "application/json; charset=utf-8" and mean every JSON.
        return name == "charset"
    return given.lower() == value.lower()


def _scan(text: str, position: int) -> tuple[MediaType | None, int]:
    """The media type at a position and where it ends, spaces after it included."""
    essence = _ESSENCE.match(text, position)
    if essence is None:
        return None, position
    media = MediaType(essence[1].lower(), essence[2].lower(), {})
    position = essence.end()
    while parameter := _PARAMETER.match(text, position):
        position = parameter.end()
        if parameter[1] is not None:
            name = parameter[1].lower()
            if name in media.params:
                return None, position
            media.params[name] = _unquoted(parameter[2])
    return media, _after(_SPACES, text, position)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value[0] == '"' else value


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
