"""What the index of words is given, and what it is asked."""

from __future__ import annotations

import re
import unicodedata

from .chunks import CJK

MOST_WORDS = 64
CODE_DIGITS = 3
_UNSPACED = re.compile(rf"([{CJK}])")
_PARTS = re.compile(r"\w+")
# Words that stand in every text find every text.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be been but by can could did do does for from had has have how i if in into is it its me "
        "my no not of on or our so that the their them then there these they this to was we were what when where "
        "which who why will with would you your",
    )
)


def indexed(text: str) -> str:
    """Return ``text`` as it is indexed: where no spaces stand between words, each character is one."""
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", text))


def question(query: str) -> str:
    """Return ``query`` in the language of the index: any of its words, the common ones left out."""
    return " OR ".join(_terms(query))


def codes(query: str) -> list[str]:
    """Return the terms of ``query`` that look like a number of something: those with three digits or more."""
    return [term for term in _terms(query) if sum(map(str.isdigit, term)) >= CODE_DIGITS]


def _terms(query: str) -> list[str]:
    said = [word for word in unicodedata.normalize("NFKC", query).lower().split() if _PARTS.search(word)]
    wanted = [word for word in said if word.strip("?!.,;:") not in _COMMON] or said
    terms: dict[str, None] = {}
    for word in wanted[:MOST_WORDS]:
        parts = _PARTS.findall(indexed(word))
        # All of SKU-88214-X side by side is worth more than its parts.
        terms |= dict.fromkeys([" ".join(parts), *(part for part in parts if part not in _COMMON)])
    return [f'"{term}"' for term in terms]
