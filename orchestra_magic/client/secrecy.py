"""Secret inputs: their values are sent, and shown nowhere.

A server keeps a run's inputs and gives them back in runs, steps and errors. So what is shown of a run has each
text of a secret input replaced, wherever it stands. Values that the program asks for are left as they are.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from .records import RunState, Step

MASK = "********"
_Seen = TypeVar("_Seen", RunState, Step)


class Secret(str):
    """A text that is sent as it is, and shows itself masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def texts(values: Iterable[Any]) -> frozenset[str]:
    """Return every text and number in the values of secret inputs: what is not to be shown."""
    return frozenset(text for value in values for text in _leaves(value) if text)


def masked(value: Any, hidden: frozenset[str]) -> Any:
    """Return a JSON value with each hidden text replaced, also within longer text.

    Examples
    --------
    >>> masked({"header": "Bearer s3cret"}, frozenset({"s3cret"}))
    {'header': 'Bearer ********'}
    """
    return _masked(value, hidden, _pattern(hidden)) if hidden else value


def state(seen: RunState, hidden: frozenset[str]) -> RunState:
    """Return the state of a run as it may be shown."""
    return _record(seen, hidden, "inputs", "outputs", "all_outputs", "error")


def step(seen: Step, hidden: frozenset[str]) -> Step:
    """Return a step as it may be shown."""
    return _record(seen, hidden, "inputs", "outputs", "error", "notes")


def _record(seen: _Seen, hidden: frozenset[str], *names: str) -> _Seen:
    if not hidden:
        return seen
    return dataclasses.replace(seen, raw={}, **{name: masked(getattr(seen, name), hidden) for name in names})


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _pattern(hidden: frozenset[str]) -> re.Pattern[str]:
    """Return what finds a hidden text as it is, and as JSON or Python writes it within quotes."""
    written = {form for text in hidden for form in _forms(text)}
    return re.compile("|".join(re.escape(text) for text in sorted(written, key=len, reverse=True)))


def _forms(text: str) -> tuple[str, ...]:
    return text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]


def _masked(value: Any, hidden: frozenset[str], pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(MASK, value)
    if isinstance(value, Mapping):
        return {_masked(key, hidden, pattern): _masked(inner, hidden, pattern) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner, hidden, pattern) for inner in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and str(value) in hidden else value
