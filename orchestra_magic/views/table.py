"""A table as text and as HTML, from the same rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from .words import NOT_TYPESET, escape, line

LONGEST = 300
"""Characters of a cell: all rows are padded to the longest one."""

UNBROKEN = 20
"""Characters of a cell that stays on one line: a status, a time."""


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; ``empty`` is said where there are no rows."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "Nothing here."
    caption: str = ""

    def text(self) -> str:
        """Return the table in aligned columns."""
        if not self.rows:
            return self.empty
        lines = [[line(cell, LONGEST) for cell in row] for row in (self.headers, *self.rows)]
        widths = [max(width(row[i]) for row in lines) for i in range(len(self.headers))]
        laid = [
            "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True))
            for row in lines
        ]
        rule = "  ".join("─" * wide for wide in widths)
        return "\n".join([laid[0].rstrip(), rule, *(each.rstrip() for each in laid[1:])])

    def html(self) -> str:
        """Return the table as HTML: headers, cells, nothing that needs a style."""
        if not self.rows:
            return f"<p {NOT_TYPESET}>{escape(self.empty)}</p>"
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(f'<th scope="col" style="text-align:left">{_short(name)}</th>' for name in self.headers)
        body = "".join(
            "<tr>" + "".join(f'<td style="{_style(cell)}">{_short(cell)}</td>' for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table {NOT_TYPESET}>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _style(cell: str) -> str:
    wide = "min-width:12em;overflow-wrap:anywhere"  # a word that is too long for the page stays on it
    return f"text-align:left;{'white-space:nowrap' if len(cell) <= UNBROKEN else wide}"


def _short(cell: str) -> str:
    return escape(cell if len(cell) <= LONGEST else line(cell, LONGEST))


def width(text: str) -> int:
    """Return the columns that ``text`` takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    thin = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - thin
