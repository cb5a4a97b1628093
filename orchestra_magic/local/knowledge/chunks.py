"""A text is cut into chunks of about 200 words: at the ends of paragraphs if it can be, else of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIZE = 200
OVERLAP = 40
CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Where no spaces stand between words, each character counts as one; what has no end is cut.
_WORD = re.compile(rf"[{CJK}]|[^\s{CJK}]{{1,100}}")
_END = re.compile(r"\n\s*\n|\n|(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])")  # noqa: RUF001  (sentences end so there)


@dataclass(frozen=True)
class _Piece:
    """A sentence, a line, or so many words of a longer one."""

    begin: int
    end: int
    words: int
    last: bool
    """Whether a paragraph ends here."""


def split(text: str) -> list[str]:
    """Return the chunks of ``text``, each as it stands there; neighbours share up to :data:`OVERLAP` words."""
    pieces = list(_pieces(text))
    chunks = []
    first = 0
    while first < len(pieces):
        after = _fill(pieces, first)
        chunks.append(text[pieces[first].begin : pieces[after - 1].end])
        if after == len(pieces):
            break
        first = _step_back(pieces, first, after)
    return chunks


def _fill(pieces: list[_Piece], first: int) -> int:
    """Return where a chunk that begins at ``first`` ends: after a paragraph, if that leaves it half full."""
    words, after, paragraph = 0, first, first
    while after < len(pieces) and (after == first or words + pieces[after].words <= SIZE):
        words += pieces[after].words
        after += 1
        if pieces[after - 1].last and words >= SIZE // 2:
            paragraph = after
    return paragraph if after < len(pieces) and paragraph > first else after


def _step_back(pieces: list[_Piece], first: int, after: int) -> int:
    words, start = 0, after
    while start - 1 > first and words + pieces[start - 1].words <= OVERLAP:
        start -= 1
        words += pieces[start].words
    return start


def _pieces(text: str) -> Iterator[_Piece]:
    begin = 0
    while begin < len(text):
        # One further on, because some ends are a place between two characters.
        found = _END.search(text, begin + 1)
        end = found.end() if found else len(text)
        last = found is None or found.group().count("\n") > 1
        words = [match.span() for match in _WORD.finditer(text, begin, end)]
        # None is longer than the overlap, so that any chunk can share its last one with the next.
        for number in range(0, len(words), OVERLAP):
            some = words[number : number + OVERLAP]
            yield _Piece(some[0][0], some[-1][1], len(some), last and number + OVERLAP >= len(words))
        begin = end
