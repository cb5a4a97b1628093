"""What a program gave becomes JSON: tables as rows, arrays as lists, and the rest as text that says what it was.

This module is loaded inside the sandbox, by itself: it needs the standard library alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from itertools import chain, count
from typing import Any

_TEXT_LENGTH = 10_000
_DEPTH = 150
_BITS = 1000
_FINE = ("datetime64[ns]", "timedelta64[ns]")
_LEAVES = (str, bool, type(None))


def encode(outcome: dict[str, Any]) -> bytes:
    """Return the outcome as JSON; where its ``results`` had to be changed for that, ``note`` says how."""
    try:
        return json.dumps(outcome, allow_nan=False, default=_known).encode()
    except BaseException:  # noqa: BLE001  (the value is the program's own, and so is what it raises)
        notes: dict[str, None] = {}
    try:
        results = tidy(outcome["results"], notes)
    except BaseException as error:  # noqa: BLE001
        kind = type(outcome["results"]).__name__
        results = f"<{kind}>"
        notes = {f"the last value, a {kind}, cannot be shown: {type(error).__name__}": None}
    return json.dumps({**outcome, "results": results, "note": "".join(f"{one}\n" for one in notes)}).encode()


def tidy(value: Any, notes: dict[str, None], above: tuple[int, ...] = ()) -> Any:
    """Return ``value`` as JSON can hold it. ``notes`` gathers what was changed, ``above`` what holds it."""
    if isinstance(value, _LEAVES):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        notes["NaN and infinite numbers stand as null: JSON has none"] = None
        return None
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() < _BITS):
        return value
    if isinstance(value, int):
        return _text(value, notes)
    if id(value) in above or len(above) > _DEPTH:
        notes["what holds itself, or is nested too deeply, was cut"] = None
        return None
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return {_key(key): tidy(item, notes, above) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item, notes, above) for item in value]
    try:
        known = _known(value)
    except BaseException:  # noqa: BLE001  (a method of the program's own)
        return _text(value, notes)
    return tidy(known, notes, above)


def _known(value: Any) -> Any:
    """Return sets, dates, arrays and tables as JSON has them.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, set | frozenset):
        return list(value)
    kind = type(value)
    if kind.__module__.partition(".")[0] == "pandas":
        return _pandas(value)
    if kind.__module__ == "decimal":
        # A number where that is exactly it, else every digit.
        return float(value) if repr(float(value)) == str(value) else str(value)
    if kind.__module__ == "numpy" and value.dtype.name in _FINE:
        return _nanoseconds(value)
    for method in ("isoformat", "tolist"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    raise TypeError(kind.__name__)


def _pandas(value: Any) -> Any:
    """Return a table as rows, in which a named index is a column; a series by its labels if they are text."""
    if hasattr(value, "columns"):
        named = any(name is not None for name in value.index.names)
        rows = value.reset_index() if named else value
        names = _unique(_key(name) for name in rows.columns)
        columns = [_missing_as_none(rows.iloc[:, number]) for number in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if hasattr(value, "index") and hasattr(value, "dtype"):
        labels, items = list(value.index), _missing_as_none(value)
        if not all(isinstance(one, str) for one in labels):
            return items
        return dict(zip(_unique(labels), items, strict=True))
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(type(value).__name__)


def _missing_as_none(column: Any) -> Iterable[Any]:
    missing = column.isna()
    items = column.tolist()
    return [None if gone else item for item, gone in zip(items, missing, strict=True)] if missing.any() else items


def _nanoseconds(value: Any) -> Any:
    """Return times and durations of numpy as Python has them, or times that it would cut as text.

    Raises
    ------
    TypeError
        For durations that it would cut.
    """
    import numpy as np  # whoever has such a value has it

    rough, missing = value.astype(value.dtype.str.replace("ns", "us")), np.isnat(value)
    if ((rough == value) | missing).all():
        return rough.tolist()
    if value.dtype.kind == "m":
        raise TypeError("finer than microseconds")
    return np.where(missing, np.array(None), value.astype(str)).tolist()


def _unique(names: Iterable[str]) -> list[str]:
    """Add numbers to names that are there before, as pandas does when it reads a table."""
    taken: dict[str, None] = {}
    for name in names:
        others = (f"{name}.{number}" for number in count(1))
        taken[next(one for one in chain([name], others) if one not in taken)] = None
    return list(taken)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(key.isoformat()) if hasattr(key, "isoformat") else str(key)


def _text(value: Any, notes: dict[str, None]) -> str:
    kind = type(value).__name__
    notes[f"a value of the type {kind} is not JSON and stands as text"] = None
    try:
        return repr(value)[:_TEXT_LENGTH]
    except BaseException:  # noqa: BLE001  (its repr is the program's own too; an integer may be too long for one)
        return f"<{kind}>"
