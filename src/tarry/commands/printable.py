"""Texts from elsewhere on a terminal."""


def printable(text: str | None) -> str:
    """A text that does nothing to a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text or "")
