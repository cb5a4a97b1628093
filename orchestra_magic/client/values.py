"""Python values become JSON values, or are refused by their key path: never by ``str()`` in silence.

numpy, pandas and pydantic are recognised without being imported: a value of theirs exists only where
they are loaded already.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from ..errors import OrchestraInputError
from . import foreign
from .refusals import MAX_DEPTH, MAX_DIGITS, check_text, child, kind_of, named, refusal, text_key

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "check_inputs", "child", "to_json"]

_ORDINARY = 2**63
_TOO_LARGE = 10**MAX_DIGITS


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
            f"The inputs are {kind_of(inputs)}; they must be a mapping of names to values, such as "
            '{"prompt": "hello"}.'
        )
    return found


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
    if foreign.is_foreign(value):
        return _convert(foreign.to_plain(value, path), path, above)
    for kinds, convert in _OTHER_LEAVES:
        if isinstance(value, kinds):
            return convert(value, path)
    if isinstance(value, (Mapping, list, tuple)):
        return _container(value, path, above)
    return _from_object(value, path, above)


def _from_object(value: Any, path: str, above: tuple[Any, ...]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _container({item.name: getattr(value, item.name) for item in fields(value)}, path, above, owner=value)
    raise refusal(value, path)


def _container(value: Any, path: str, above: tuple[Any, ...], owner: Any = None) -> Any:
    owner = value if owner is None else owner
    if any(owner is outer for outer in above):
        raise OrchestraInputError(f"{named(path)} holds itself, so that it has no end: send a copy without it.")
    if len(above) >= MAX_DEPTH:
        # the path itself would be as long as the nesting is deep
        raise OrchestraInputError(
            f"{named(path[:40] + '…')} is nested more than {MAX_DEPTH} levels deep: send it flatter, or as text."
        )
    above = (*above, owner)
    if not isinstance(value, Mapping):
        return [item if _is_plain(item) else _convert(item, f"{path}[{n}]", above) for n, item in enumerate(value)]
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = text_key(key, path)
        if name in found:
            raise OrchestraInputError(f"{named(path)} has the key {name!r} twice: rename one of them.")
        found[name] = item if _is_plain(item) else _convert(item, child(path, name), above)
    return found


def _is_plain(value: Any) -> bool:
    """Whether a value is sent as it is: most are, and need no path then."""
    kind = type(value)
    return (
        value is None
        or kind is bool
        or (kind is str and value.isascii())
        or (kind is float and math.isfinite(value))
        or (kind is int and -_ORDINARY < value < _ORDINARY)
    )


def _integer(value: int, path: str) -> int:
    plain = operator.index(value)
    if plain >= _TOO_LARGE or plain <= -_TOO_LARGE:
        raise OrchestraInputError(
            f"{named(path)} is an integer of more than {MAX_DIGITS:,} digits: send it as text, as hex(x)."
        )
    return plain


def _number(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise OrchestraInputError(
            f'{named(path)} is {float(value)}, which JSON has no number for: send None, or the text "{float(value)}".'
        )
    return float(value)


def _decimal(value: Decimal, path: str) -> int | float:
    """Give the number whose JSON text is exactly ``value``: 0.1 is written ``0.1``, and nothing is lost."""
    if not value.is_finite():
        raise OrchestraInputError(f"{named(path)} is {value}, which JSON has no number for: send None.")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and value.adjusted() < MAX_DIGITS:
        if exponent >= 0:
            return int(value)
        if Decimal(repr(float(value))) == value:
            return float(value)
        if value == value.to_integral_value():
            return int(value)
    raise OrchestraInputError(
        f"{named(path)} is a Decimal that no JSON number holds exactly: send str(x) to keep every digit, "
        "or float(x) to round it."
    )


_TEXT_AND_INTEGERS: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = ((str, check_text), (int, _integer))
_OTHER_LEAVES: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = (
    (float, _number),
    ((datetime, date, time), lambda value, _: value.isoformat()),
    ((PurePath, UUID), lambda value, path: check_text(str(value), path)),
    (Decimal, _decimal),
)
