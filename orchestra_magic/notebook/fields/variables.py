"""``$name`` in a field: what the variable is, at a glance, and how text is written so that it is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from typing import Any

from ...client.substitution import substitute, variable
from ...errors import OrchestraInputError
from ...views.words import line

_NAMED = 6
"""How many columns or keys are named."""
_WRITTEN = re.compile(r"\$[^\W\d]|\$\{|\$\$")


def literal(value: Any) -> Any:
    """Return a value as a cell's body writes it, where ``$name`` would be a variable.

    Examples
    --------
    >>> literal({"text": "${x} for $5", "price": "$5"})
    {'text': '$${x} for $$5', 'price': '$5'}
    """
    if isinstance(value, str):
        return value.replace("$", "$$") if _WRITTEN.search(value) else value
    if isinstance(value, Mapping):
        return {key: literal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [literal(inner) for inner in value]
    return value


def is_variable(said: Any) -> bool:
    """Whether a text is as a whole the name of a variable, so that no type is asked of it."""
    if not isinstance(said, str):
        return False
    try:
        variable(said, {})
    except LookupError:
        return True
    except ValueError:
        return False
    return True


def about(said: Any, namespace: Mapping[str, Any], *, value: bool = True) -> str:
    """Return what the variable in a field is: its type, its size, and with ``value`` how it begins."""
    try:
        found = variable(said, namespace)
    except (LookupError, ValueError):
        return ""
    try:
        return f"{said} is {_described(found, value)}"
    except Exception:  # noqa: BLE001  (any object may fail at being looked at; it is only a glance)
        return f"{said} is of type {type(found).__name__}"


def fault(name: str, said: Any, namespace: Mapping[str, Any]) -> str:
    """Return why the variables in a field cannot be sent, in the words of the magic; empty if they can."""
    try:
        substitute({name: said}, namespace)
    except OrchestraInputError as error:
        return str(error)
    return ""


def _described(found: Any, value: bool) -> str:
    kind = type(found).__name__
    shape = getattr(found, "shape", None)
    columns = getattr(found, "columns", None)
    if isinstance(shape, tuple) and columns is not None:
        named = [str(column) for column in list(columns)[:_NAMED]]
        if len(columns) > len(named):
            named.append("…")
        whole = f"{_many(shape[0], 'row')}, {_many(shape[1], 'column')} ({line(', '.join(named), 70)})"
        return f"a {kind}: {whole}{_first_row(found) if value else ''}"
    if isinstance(shape, tuple) and shape:
        return f"a {kind}: {' x '.join(f'{size:,}' for size in shape)} of {getattr(found, 'dtype', 'values')}"
    if isinstance(found, str):
        return f"text: {line(found, 60)}" if value else f"text of {_many(len(found), 'character')}"
    if isinstance(found, bool | int | float) or found is None:
        return f"{kind}: {found!r}"[:80] if value else kind
    if isinstance(found, Mapping):
        return f"a {kind} with {_many(len(found), 'key')}: {line(', '.join(map(str, list(found)[:_NAMED])), 60)}"
    if isinstance(found, list | tuple):
        first = f": {line(repr(found[0])[:200], 50)}{', …' if len(found) > 1 else ''}" if found else ""
        return f"a {kind} of {_many(len(found), 'item')}{first if value else ''}"
    size = f" of {_many(len(found), 'item')}" if isinstance(found, Sized) else ""
    return f"a {kind}{size}"


def _first_row(table: Any) -> str:
    """Return how a table begins, where that can be asked in the way of pandas or polars."""
    try:
        row = table.row(0) if hasattr(table, "row") else table.iloc[0].tolist()
    except Exception:  # noqa: BLE001  (of tables there are many kinds)
        return ""
    return f"; first row: {line(', '.join(str(cell)[:40] for cell in row[:_NAMED]), 70)}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")
