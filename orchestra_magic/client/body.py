"""The text of a cell, and where something stands in it: as an editor shows it, with a caret."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ..errors import OrchestraInputError

__all__ = ["Body"]

_WIDTH = 100
"""A longer line is cut around the fault."""

# what a terminal would act on, or what would turn the line around, instead of showing it
_UNSHOWABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _PlacedError(OrchestraInputError):
    """An error whose caret does not stand below character number ``column``, as the line was cut or is wide."""

    def __init__(self, reason: str, *, line: int, column: int, excerpt: str, indent: str) -> None:
        super().__init__(reason, line=line, column=column, excerpt=excerpt)
        self._indent = indent

    def __str__(self) -> str:
        gutter = f"  {self.line:>4} | "
        return (
            f"line {self.line}, column {self.column}: {self.reason}\n"
            f"{gutter}{self.excerpt}\n{' ' * len(gutter)}{self._indent}^"
        )


# the name is part of what a notebook shows and saves
_PlacedError.__name__ = OrchestraInputError.__name__
_PlacedError.__qualname__ = OrchestraInputError.__qualname__


@dataclass(frozen=True)
class Body:
    """The text, and the number that its first line has where the user sees it."""

    text: str
    first_line: int = 1

    def line(self, index: int) -> int:
        """Give the line of a character; a line ends where an editor ends it: at LF, CRLF or CR."""
        before = self.text[:index]
        lone = before.count("\r") - before.count("\r\n")
        if before.endswith("\r") and self.text.startswith("\n", index):
            lone -= 1
        return self.first_line + before.count("\n") + lone

    def bounds(self, index: int) -> tuple[int, int]:
        """Give start and end of the line that holds a character, without its line break."""
        start = max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1
        ends = (self.text.find("\n", index), self.text.find("\r", index))
        return start, min((end for end in ends if end >= 0), default=len(self.text))

    def error(self, index: int, reason: str) -> OrchestraInputError:
        """Build the error that points at a character; past the end it points behind the last one."""
        index = min(index, len(self.text.rstrip()))
        reason = _UNSHOWABLE.sub(_picture, reason)
        start, end = self.bounds(index)
        line, column = self.line(index), index - start + 1
        excerpt, before = _cut(self.text, start, end, index)
        indent = "".join(_space(character) for character in before)
        if indent == " " * (column - 1):
            return OrchestraInputError(reason, line=line, column=column, excerpt=excerpt)
        return _PlacedError(reason, line=line, column=column, excerpt=excerpt, indent=indent)


def _cut(text: str, start: int, end: int, index: int) -> tuple[str, str]:
    """Give what is shown of a line, and the part of it before the fault."""
    first, last = start, end
    if end - start > _WIDTH:
        first = max(start, min(index - _WIDTH // 2, end - _WIDTH))
        last = min(end, first + _WIDTH)
    left, right = "…" if first > start else "", "…" if last < end else ""
    shown = _UNSHOWABLE.sub(_picture, left + text[first:last].rstrip("\r") + right)
    return shown, shown[: index - first + len(left)]


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def _space(character: str) -> str:
    """Give the blank that is as wide as a character."""
    if character == "\t":
        return "\t"
    if unicodedata.east_asian_width(character) in "WF":
        return "\N{IDEOGRAPHIC SPACE}"
    return "" if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Me"} else " "
