"""A JSON value as text and as HTML: text as text, rows as a table, objects as a tree, long ones cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .table import Table
from .words import WRAPPED, clean, dump, escape, line, results

LONG = 1_000
"""Characters shown at first; the rest stands behind "all"."""
ROWS = 20
"""Rows or members shown at first."""
LINES = 12
"""Lines of a program that stands open."""
MOST = 5_000
"""Characters that a saved card holds of one value; the run itself has the rest."""
DEEPEST = 6
"""Objects in objects that are unfolded; what is deeper is shown as JSON."""
_TOP = "text-align:left;vertical-align:top"
_COLUMNS = re.compile(
    r"(^```.*?(?:^```[^\n]*\n?|\Z)|(?:^(?: {4}|\t|[ \t]*\||[^\n]*\S {3,}\S)[^\n]*(?:\n|\Z))+)", re.MULTILINE | re.DOTALL
)
"""What keeps its columns in a text: fenced and indented code, tables, lines with gaps."""


def text(value: Any, indent: str = "", deep: int = 0) -> str:
    """Return a value for a terminal, indented, cut where it is long."""
    value = results(value)
    table = _table(value)
    if table is not None:
        shown = table.text()
    elif isinstance(value, str):
        shown = clean(value)
    elif isinstance(value, Mapping) and value and deep < DEEPEST:
        shown = "\n".join(_member(name, member, deep + 1) for name, member in value.items())
    else:
        shown = clean(dump(value) if len(dump(value)) <= 100 else dump(value, indent=2))
    if len(shown) > LONG:
        shown = f"{shown[:LONG].rstrip()}\n… {len(shown) - LONG:,} more characters"
    return "\n".join(indent + each for each in shown.split("\n"))


def _member(name: str, member: Any, deep: int) -> str:
    inner = results(member)
    block = isinstance(inner, Mapping | list | str) and ("\n" in str(inner) or len(dump(inner)) > 100)
    return f"{line(name)}:\n{text(inner, '  ', deep)}" if block else f"{line(name)}: {line(inner, 200)}"


def html(value: Any, deep: int = 0) -> str:
    """Return a value as HTML; all server text in it is escaped. What is nested ``deep`` in others is not unfolded."""
    value = results(value)
    if isinstance(value, str):
        return _long_text(value, _prose)
    table = _table(value)
    if table is not None:
        return table.html() + _all(value, len(value) > ROWS)
    if isinstance(value, Mapping) and value and deep < DEEPEST:
        return _tree(value, deep + 1)
    nested = isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value)
    return verbatim(dump(value, indent=2 if nested else None))


def verbatim(value: str) -> str:
    """Return a text as HTML in which every character has its column: an error, JSON."""
    return _long_text(value, _pre)


def _tree(value: Mapping[str, Any], deep: int) -> str:
    """Return an object as a table of its members; what is itself large folds away."""
    rows = []
    for name, member in list(value.items())[:ROWS]:
        inner = results(member)
        large = isinstance(inner, Mapping | list) and len(dump(inner)) > 100 and _table(inner) is None
        plain = _program(inner) if name == "code" and isinstance(inner, str) else html(inner, deep)
        shown = _folded(line(inner, 60), plain) if large else plain
        head = f'<th scope="row" style="{_TOP}">{escape(line(name, 200))}</th>'
        rows.append(f'<tr style="background:none">{head}<td style="{_TOP}">{shown}</td></tr>')
    return f"<table><tbody>{''.join(rows)}</tbody></table>" + _all(value, len(value) > ROWS)


def _program(code: str) -> str:
    """Return a code node's program, a long one folded: no line of it is prose."""
    lines = code.count("\n") + 1
    return (
        verbatim(code)
        if lines <= LINES
        else _folded(f"{lines} lines", _pre(code if len(code) <= MOST else code[:MOST] + "…"))
    )


def _table(value: Any) -> Table | None:
    """Return a list of flat objects as a table, None for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    names = list(dict.fromkeys(name for row in value[:ROWS] for name in row))
    if (
        not names
        or len(names) > ROWS
        or any(isinstance(cell, Mapping | list) for row in value for cell in row.values())
    ):
        return None
    rows = [[_cell(row.get(name, "")) for name in names] for row in value[:ROWS]]
    if len(value) > ROWS:
        rows.append([f"… {len(value) - ROWS} more", *[""] * (len(names) - 1)])
    return Table([str(name) for name in names], rows)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else line(value)


def _long_text(value: str, shown: Callable[[str], str]) -> str:
    if len(value) <= LONG:
        return shown(value)
    kept = value[:MOST]
    more = "" if len(kept) == len(value) else f" (the first {MOST:,} characters)"
    return shown(value[:LONG] + "…") + _folded(f"All {len(value):,} characters{more}", shown(kept))


def _all(value: Mapping[str, Any] | Sequence[Any], cut: bool) -> str:
    return _folded(f"All {len(value)}", _pre(dump(value, indent=2)[:MOST])) if cut else ""


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _prose(value: str) -> str:
    """Return text, such as a model's Markdown, in the page's own letters; what stands in columns keeps them."""
    parts = _COLUMNS.split(value)
    return "".join(_pre(part) if n % 2 else _pre(part, "font-family:inherit;") for n, part in enumerate(parts) if part)


def _pre(value: str, more: str = "") -> str:
    return f'<pre style="{more}{WRAPPED};margin:0">{escape(value)}</pre>'
