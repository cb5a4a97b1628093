"""How wide text is when nobody can measure it, and how it is cut to a width."""

from __future__ import annotations

import re
import unicodedata

from .words import clean

__all__ = ["cut", "one_line", "width"]

MOST = 2_000
"""Characters of a text that are looked at; what is longer than that is no label."""

SLACK = 0.5
"""A box made for a text must hold it, whatever sums of fractions come to."""

_SIZES = (
    "32 40 46 84 64 95 78 28 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53"
    " 100 68 69 70 77 63 58 78 75 30 30 66 56 86 75 79 60 79 70 64 61 73 68 99 69 61 69 39 34 39 84 50"
    " 50 61 64 55 64 62 35 64 63 28 28 58 28 97 63 61 64 64 41 52 39 63 59 82 59 59 53 64 34 64 84"
)
"""Hundredths of the type size for each printable ASCII character: DejaVu Sans, the widest common system font."""
_ASCII = {chr(32 + place): int(size) / 100 for place, size in enumerate(_SIZES.split())}

_JOINER = "\u200d"
_NOT_XML = re.compile("[\ufffe\uffff]")


def one_line(text: str) -> str:
    r"""Return text as one clean line that XML can hold.

    Examples
    --------
    >>> one_line("a\n b\u202ec")
    'a b<U+202E>c'
    """
    short = text if len(text) <= MOST else text[:MOST] + "…"
    return _NOT_XML.sub("\ufffd", " ".join(clean(short).split()))


def width(text: str, size: float) -> float:
    """Estimate how wide a text is, in pixels, with a little to spare in most fonts.

    Examples
    --------
    >>> width("model", 100)
    312.0
    """
    return round(sum(_ASCII.get(c) or _wide(c) for c in text) * size, 1)


def _wide(character: str) -> float:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.35 if unicodedata.category(character) == "So" else 1.0
    return 0.8 if character.isupper() or not character.isalpha() else 0.66


def cut(text: str, size: float, room: float) -> str:
    """Return text that fits in `room` pixels, with an ellipsis if it was longer.

    Examples
    --------
    >>> cut("a rather long description", 10, 80)
    'a rather long…'
    """
    if width(text, size) <= room + SLACK:
        return text
    left = room - width("…", size)
    kept = ""
    for cluster in _clusters(text):
        left -= width(cluster, size)
        if left < 0:
            break
        kept += cluster
    return kept.rstrip() + "…"


def _clusters(text: str) -> list[str]:
    """Split into what readers take for characters, so that no emoji or accent is cut apart."""
    clusters: list[str] = []
    for character in text:
        follows = character == _JOINER or unicodedata.category(character) in {"Mn", "Me", "Sk"}
        if clusters and (clusters[-1].endswith(_JOINER) or (follows and not character.isascii())):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters
