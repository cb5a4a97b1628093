"""Python values become JSON values, or are refused by their key path: never by ``str()`` in silence.

numpy, pandas and pydantic are recognised without being imported: a value of theirs exists only where
they are loaded already.
"""

from __future__ import annotations

import json
import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from ..errors import OrchestraInputError

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "check_inputs", "child", "to_json"]

MAX_DEPTH = 100
"""How deep lists and mappings may be nested: ``{"a": 1}`` is one deep."""

MAX_DIGITS = 4300
"""How many digits an integer may have: what Python itself converts by default."""

_TOO_LARGE = 10**MAX_DIGITS

_BINARY = (bytes, bytearray, memoryview)


def to_json(value: Any, *, path: str = "") -> Any:
    """Turn a Python value into the JSON value it stands for.

    Parameters
    ----------
    value : Any
        JSON values stay as they are (lists and mappings are copied; tuples become lists). Also taken:

        - enum members (their value), dates, times and timestamps (ISO 8601), paths and UUIDs (text);
        - ``Decimal``, as a number where the JSON number is exactly it, else refused;
        - dataclasses, pydantic models (in their JSON mode), and every ``Mapping`` with text keys;
        - numpy scalars and arrays;
        - pandas: a ``DataFrame`` as a list of records, in which a named index is a column like the others;
          a ``Series`` as a mapping if its labels are text, else as a list. In both, NaN, NaT and NA mark
          what is missing, and become None. Anywhere else NaN is refused, for JSON has no such number.
    path : str, optional
        What to call the value in an error, such as ``inputs.table``.

    Returns
    -------
    Any
        A new value made of dict, list, str, int, float, bool and None alone.

    Raises
    ------
    OrchestraInputError
        For everything else, with the key path of the fault and what to do.

    Examples
    --------
    >>> from pathlib import Path
    >>> to_json({"file": Path("data.csv"), "shape": (2, 3)})
    {'file': 'data.csv', 'shape': [2, 3]}
    """
    return _convert(value, path, ())


def check_inputs(inputs: Any) -> dict[str, Any]:
    """Turn the inputs of a run into a dict of JSON values.

    Parameters
    ----------
    inputs : Any
        A mapping, dataclass or pydantic model; None means no inputs. See :func:`to_json` for the values.

    Returns
    -------
    dict[str, Any]
        A new dict that ``json.dumps`` writes as it is.

    Raises
    ------
    OrchestraInputError
        If the inputs have no names, or hold what cannot be sent.

    Examples
    --------
    >>> check_inputs({"prompt": "hello", "sizes": (1, 2)})
    {'prompt': 'hello', 'sizes': [1, 2]}
    """
    if inputs is None:
        return {}
    if isinstance(inputs, str):
        raise OrchestraInputError(
            'The inputs are text; they must be a mapping of names to values, such as {"prompt": "hello"}.'
        )
    found = _convert(inputs, "inputs", ())
    if not isinstance(found, dict):
        raise OrchestraInputError(
            f'The inputs are {_kind(inputs)}; they must be a mapping of names to values, such as {{"prompt": "hello"}}.'
        )
    return found


def child(path: str, key: str | int) -> str:
    """Give the key path of what ``path`` holds under ``key``.

    Examples
    --------
    >>> child(child(child("inputs", "table"), 3), "mean mass")
    'inputs.table[3][mean mass]'
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not path:
        return key
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key}]"


def _convert(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    """Convert ``value``; ``above`` are the containers that hold it, outermost first."""
    if value is None or value is True or value is False:
        return value
    # the order matters: an enum member may be a str or int too, NaT is a datetime, a numpy float is a float
    if isinstance(value, Enum):
        return _convert(value.value, path, above)
    for kinds, convert in _TEXT_AND_INTEGERS:
        if isinstance(value, kinds):
            return convert(value, path)
    if _is_pandas(value):
        return _from_pandas(value, path, above)
    if _is_numpy(value):
        return _from_numpy(value, path, above)
    for kinds, convert in _OTHER_LEAVES:
        if isinstance(value, kinds):
            return convert(value, path)
    if isinstance(value, (Mapping, list, tuple)):
        return _container(value, path, above)
    return _from_object(value, path, above)


def _from_object(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _container({item.name: getattr(value, item.name) for item in fields(value)}, path, above, owner=value)
    if _is_pydantic(value):
        return _convert(_from_pydantic(value, path), path, above)
    raise _refusal(value, path)


def _container(value: Any, path: str, above: tuple[Any, ...], owner: Any = None) -> Any:
    owner = value if owner is None else owner
    if any(owner is outer for outer in above):
        raise OrchestraInputError(f"{_name(path)} holds itself, so that it has no end: send a copy without it.")
    if len(above) >= MAX_DEPTH:
        # the path itself would be as long as the nesting is deep
        raise OrchestraInputError(
            f"{_name(path[:40])}… is nested more than {MAX_DEPTH} levels deep: send it flatter, or as text."
        )
    above = (*above, owner)
    if not isinstance(value, Mapping):
        return [_convert(item, f"{path}[{n}]", above) for n, item in enumerate(value)]
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key, path)
        if name in found:
            raise OrchestraInputError(f"{_name(path)} has the key {name!r} twice: rename one of them.")
        found[name] = _convert(item, child(path, name), above)
    return found


def _key(key: Any, path: str) -> str:
    plain = key.value if isinstance(key, Enum) else key
    if not isinstance(plain, str):
        raise OrchestraInputError(
            f"{_name(path)} has the key {_shown(key)} ({_kind(key)}); the keys of JSON are text: "
            f"write it as {str(_shown(plain))!r} or rename it."
        )
    return _text(plain, child(path, "…"))


def _text(value: str, path: str) -> str:
    plain = str.__str__(value)
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError as error:
            raise OrchestraInputError(
                f"{_name(path)} holds half of a character (U+{ord(plain[error.start]):04X}, a lone surrogate), "
                f'which cannot be sent: read the text again with its right encoding, or use errors="replace".'
            ) from None
    return plain


def _integer(value: int, path: str) -> int:
    plain = operator.index(value)
    if plain >= _TOO_LARGE or plain <= -_TOO_LARGE:
        raise OrchestraInputError(
            f"{_name(path)} is an integer of more than {MAX_DIGITS:,} digits: send it as text, as hex(x)."
        )
    return plain


def _number(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise OrchestraInputError(
            f'{_name(path)} is {float(value)}, which JSON has no number for: send None, or the text "{float(value)}".'
        )
    return float(value)


def _decimal(value: Decimal, path: str) -> int | float:
    """Give the number whose JSON text is exactly ``value``: 0.1 is written ``0.1``, and nothing is lost."""
    if not value.is_finite():
        raise OrchestraInputError(f"{_name(path)} is {value}, which JSON has no number for: send None.")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and value.adjusted() < MAX_DIGITS:
        if exponent >= 0:
            return int(value)
        if Decimal(repr(float(value))) == value:
            return float(value)
        if value == value.to_integral_value():
            return int(value)
    raise OrchestraInputError(
        f"{_name(path)} is a Decimal that no JSON number holds exactly: send str(x) to keep every digit, "
        "or float(x) to round it."
    )


_TEXT_AND_INTEGERS: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = ((str, _text), (int, _integer))
_OTHER_LEAVES: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = (
    (float, _number),
    ((datetime, date, time), lambda value, _: value.isoformat()),
    ((PurePath, UUID), lambda value, path: _text(str(value), path)),
    (Decimal, _decimal),
)


def _is_pandas(value: Any) -> bool:
    pandas: Any = sys.modules.get("pandas")
    # a pandas that another thread is importing has nothing in it yet
    return hasattr(pandas, "NaT") and (
        value is pandas.NaT or value is pandas.NA or isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index))
    )


def _from_pandas(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    pandas = sys.modules["pandas"]
    if value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, pandas.DataFrame):
        return _records(value, path, above)
    items = [None if _missing(item, pandas) else item for item in value.tolist()]
    labels = value.index.tolist() if isinstance(value, pandas.Series) else []
    if labels and all(isinstance(label, str) for label in labels):
        return _container(_unique(labels, items, path), path, above, owner=value)
    return _container(items, path, above, owner=value)


def _records(frame: Any, path: str, above: tuple[Any, ...]) -> Any:
    pandas = sys.modules["pandas"]
    labels = [name for name in frame.index.names if name is not None]
    table = frame
    if labels:
        if set(labels) & set(frame.columns):
            raise OrchestraInputError(
                f"{_name(path)} has {labels[0]!r} as a column and as the name of its index: rename one of them."
            )
        table = frame.reset_index()
    elif len(frame) and not pandas.api.types.is_integer_dtype(frame.index):
        raise OrchestraInputError(
            f"{_name(path)} is a table whose index has labels but no name, and records have no index: send "
            'df.rename_axis("label") to keep the labels as a column, or df.reset_index(drop=True) to drop them.'
        )
    names = [_key(column, path) for column in table.columns]
    _unique(names, names, path)
    cells = [
        [None if _missing(item, pandas) else item for item in table.iloc[:, n].tolist()] for n in range(len(names))
    ]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    return _container(rows, path, above, owner=frame)


def _unique(labels: list[str], items: list[Any], path: str) -> dict[str, Any]:
    found = dict(zip(labels, items, strict=True))
    if len(found) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise OrchestraInputError(f"{_name(path)} has the label {twice!r} twice: rename one of them.")
    return found


def _missing(item: Any, pandas: Any) -> bool:
    return item is pandas.NaT or item is pandas.NA or (isinstance(item, float) and math.isnan(item))


def _is_numpy(value: Any) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return hasattr(numpy, "ndarray") and isinstance(value, (numpy.generic, numpy.ndarray))


def _from_numpy(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _from_array(value, path, above)
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.bool_):
        return bool(value)
    if isinstance(value, numpy.floating):
        plain = float(value)
        if math.isfinite(plain) and plain != value:
            raise OrchestraInputError(
                f"{_name(path)} is a {type(value).__name__} that no JSON number holds exactly: send float(x) to "
                "round it, or str(x) to keep every digit."
            )
        return _number(plain, path)
    if isinstance(value, numpy.integer) and not isinstance(value, numpy.timedelta64):
        return int(value)
    raise _refusal(value, path)


def _from_array(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    numpy: Any = sys.modules["numpy"]
    masked = hasattr(value, "mask")
    if masked and value.ndim == 0:
        return None if value.mask else _convert(value.data[()], path, above)
    # of other kinds (times, long doubles, objects) tolist() makes something else than their values
    if value.dtype.kind in "biuU" or (value.dtype.kind == "f" and value.dtype.itemsize <= 8):  # a double
        plain = value.tolist()
    elif masked:
        raise _refusal(value, path)
    else:
        plain = numpy.asarray(value)[()] if value.ndim == 0 else list(numpy.asarray(value))
    return _container(plain, path, above, owner=value) if value.ndim else _convert(plain, path, above)


def _is_pydantic(value: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "pydantic" for base in type(value).__mro__) and (
        hasattr(type(value), "model_dump") or hasattr(type(value), "__fields__")
    )


def _from_pydantic(value: Any, path: str) -> Any:
    try:
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        return json.loads(value.json())
    except Exception as error:
        raise OrchestraInputError(
            f"{_name(path)} is {_kind(value)}, which pydantic could not write as JSON ({error})."
        ) from error


_REMEDIES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda value: isinstance(value, _BINARY), 'send base64.b64encode(x).decode("ascii")'),
    (lambda value: isinstance(value, (set, frozenset)), "a set has no order: send sorted(x)"),
    (lambda value: isinstance(value, timedelta), "send x.total_seconds(), or str(x)"),
    (lambda value: isinstance(value, type) or callable(value), "send what it returns, not itself"),
    (lambda value: isinstance(value, Iterable), "send list(x)"),
)


def _refusal(value: Any, path: str) -> OrchestraInputError:
    remedy = "turn it into text, numbers, lists or dicts first"
    for applies, text in _REMEDIES:
        if applies(value):
            remedy = text
            break
    return OrchestraInputError(f"{_name(path)} is {_kind(value)}, which JSON has no form for: {remedy}.")


def _kind(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, (int, float, bool, tuple, date, Enum)) else "…"
    return text if len(text) <= 40 else text[:39] + "…"


def _name(path: str) -> str:
    return f"`{path}`" if path else "The value"
