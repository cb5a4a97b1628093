"""Python variables in the inputs: ``$name`` leaves take values, ``${name}`` in longer text becomes text.

This happens after the text of a cell was parsed, so that no value can break its syntax. Names are looked up;
nothing is called or evaluated, and what was put in is never read for ``$`` again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import OrchestraInputError
from .refusals import MAX_DEPTH, child
from .values import to_json

__all__ = ["names", "substitute", "variable"]

_NAME = r"[^\W\d]\w*"
_WHOLE = re.compile(rf"\$({_NAME})((?:\.{_NAME}|\[[^\[\]]+\])*)")
_BRACED = re.compile(rf"\s*({_NAME})((?:\.[^.\[\]{{}}\s]+|\[[^\[\]]+\])*)\s*")
_SHOWN = 60
_LISTED = 50

_NO_KEY = (LookupError, TypeError, ValueError)
_STEP = re.compile(r"\.([^.\[\]{}\s]+)|\[([^\[\]]+)\]")
# a closing brace may stand in [some key]; no dollar inside, so that a text full of `${` is read in linear time
_DOLLAR = re.compile(r"\$\$|\$\{((?:\[[^\[\]$\n]*\]|[^}\[$])*)\}|\$\{")


def substitute(inputs: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Put the values of variables into parsed inputs.

    A text that is exactly ``$name``, ``$name.path`` or ``${name.path}`` takes the value with its type, as
    :func:`~orchestra_magic.client.values.to_json` turns it into JSON. Within longer text only ``${…}`` is
    replaced: by the text itself if the value is text, otherwise by its JSON (``true``, ``null``, ``[1, 2]``).
    ``$$`` is a dollar; ``$5`` and every other ``$`` stay. Keys are left alone.

    A path is written as in ``str.format``: ``.name``, ``[0]``, ``[some key]`` without quotes. Each step takes
    the key of that name, and the attribute only where there is no such key.

    Parameters
    ----------
    inputs : Mapping[str, Any]
        JSON values, as :func:`~orchestra_magic.client.inputs.parse` gives them.
    namespace : Mapping[str, Any]
        The variables.

    Returns
    -------
    dict[str, Any]
        A new dict of JSON values.

    Raises
    ------
    OrchestraInputError
        One error for all names that are missing or cannot be read, each with its key path.

    Examples
    --------
    >>> substitute({"rows": "$table", "text": "${n} of $$5"}, {"table": [1, 2], "n": 3})
    {'rows': [1, 2], 'text': '3 of $5'}
    """
    substitution = _Substitution(namespace)
    found = {key: substitution.replace(value, child("", key), 1) for key, value in inputs.items()}
    if substitution.faults:
        raise OrchestraInputError(_report(substitution.faults))
    return found


def variable(text: str, namespace: Mapping[str, Any]) -> Any:
    """Return what a text that is exactly ``$name`` or ``$name.path`` stands for: the object, not its JSON.

    Raises
    ------
    ValueError
        If the text is anything else.
    LookupError
        If there is no such variable, or nothing at the end of the path.
    """
    found = _WHOLE.fullmatch(text)
    first = None if found else _DOLLAR.match(text)
    if first and first.end() == len(text):
        found = _BRACED.fullmatch(first[1] or "")
    if found is None:
        raise ValueError(text)
    try:
        return _look_up(namespace, found[1], found[2])
    except _MissingError as missing:
        raise LookupError(str(missing)) from None


def names(inputs: Mapping[str, Any]) -> frozenset[str]:
    """Give the names of the variables that the inputs ask for.

    Examples
    --------
    >>> sorted(names({"rows": "$table", "text": "${n} of $$5"}))
    ['n', 'table']
    """
    return frozenset(name for text in _leaves(inputs) for name in _names(text))


class _Substitution:
    """One pass over the inputs, which collects what is wrong instead of stopping at the first fault."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.faults: list[str] = []

    def replace(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, str):
            return self._leaf(value, path)
        if depth > MAX_DEPTH:
            raise OrchestraInputError(f"The inputs are nested more than {MAX_DEPTH} levels deep: send them flatter.")
        if isinstance(value, Mapping):
            return {key: self.replace(item, child(path, key), depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.replace(item, child(path, n), depth + 1) for n, item in enumerate(value)]
        return value

    def _leaf(self, text: str, path: str) -> Any:
        if "$" not in text:
            return text
        if whole := _WHOLE.fullmatch(text):
            return self._value(text, whole[1], whole[2], path)
        first = _DOLLAR.match(text)
        if first and first.end() == len(text) and (inner := _BRACED.fullmatch(first[1] or "")):
            return self._value(text, inner[1], inner[2], path)
        return _DOLLAR.sub(self._within(path), text)

    def _within(self, path: str) -> Callable[[re.Match[str]], str]:
        def text_of(match: re.Match[str]) -> str:
            written = match[0]
            if written == "$$":
                return "$"
            inner = _BRACED.fullmatch(match[1] or "")
            if inner is None:
                self.faults.append(_malformed(written, path))
                return written
            value = self._value(written, inner[1], inner[2], path)
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

        return text_of

    def _value(self, written: str, name: str, steps: str, path: str) -> Any:
        try:
            value = _look_up(self.namespace, name, steps)
        except _MissingError as missing:
            self.faults.append(f"`{written}` (in `{path}`): {missing}")
            return None
        try:
            return to_json(value, path=written)
        except OrchestraInputError as error:
            self.faults.append(f"{error.reason.rstrip('.')} (in `{path}`)")
            return None


class _MissingError(Exception):
    """A name, key or attribute that is not there; the message says what is near."""


def _look_up(namespace: Mapping[str, Any], name: str, steps: str) -> Any:
    if name not in namespace:
        candidates = [key for key in namespace if isinstance(key, str) and not key.startswith("_")]
        raise _MissingError(f"there is no variable `{name}`{_near(name, candidates)}")
    value = namespace[name]
    so_far = name
    for match in _STEP.finditer(steps):
        dotted, bracketed = match.groups()
        value = _attribute(value, dotted, so_far) if dotted else _item(value, bracketed, so_far)
        so_far += match[0]
    return value


def _attribute(value: Any, name: str, so_far: str) -> Any:
    keyed = _keyed(value)
    try:
        # a defaultdict would make what it is asked for
        if keyed and (not isinstance(value, Mapping) or name in value):
            return value[name]
    except _NO_KEY:
        pass
    except Exception as error:
        raise _MissingError(_raised(f"{so_far}.{name}", error)) from error
    if name.startswith("_"):
        raise _MissingError(f"`{so_far}` has no key `{name}`, and private attributes are not read")
    try:
        return getattr(value, name)
    except AttributeError:
        candidates = _keys(value) if keyed else _public(value)
        what = "key or attribute" if keyed else "attribute"
        raise _MissingError(f"`{so_far}` has no {what} `{name}`{_near(name, candidates)}") from None
    except Exception as error:
        raise _MissingError(_raised(f"{so_far}.{name}", error)) from error


def _item(value: Any, written: str, so_far: str) -> Any:
    keyed = _keyed(value)
    is_number = re.fullmatch(r"-?[0-9]{1,18}", written) is not None
    keys: list[Any] = [written] if keyed or not is_number else []
    if is_number:
        keys.append(int(written))
    found = [key for key in keys if not isinstance(value, Mapping) or key in value]
    for key in found:
        try:
            return value[key]
        except _NO_KEY:  # noqa: PERF203  (two keys at most)
            continue
        except Exception as error:
            raise _MissingError(_raised(f"{so_far}[{written}]", error)) from error
    if keyed:
        bare = written.strip("'\"")
        if bare != written and bare in _keys(value):
            raise _MissingError(f"keys stand without quotes here: write `{so_far}[{bare}]`")
        raise _MissingError(f"`{so_far}` has no key `{written}`{_near(written, _keys(value))}")
    if is_number and hasattr(value, "__len__"):
        raise _MissingError(f"`{so_far}` has no item {written}: it has {len(value)}, counted from 0")
    raise _MissingError(f"`{so_far}` (a {type(value).__name__}) has no item `{written}`")


def _raised(where: str, error: Exception) -> str:
    return f"reading `{where}` raised {type(error).__name__}: {error}"


def _keyed(value: Any) -> bool:
    """Whether ``value`` has keys of its own: a mapping, or a table of pandas."""
    return isinstance(value, Mapping) or (hasattr(type(value), "keys") and hasattr(type(value), "__getitem__"))


def _keys(value: Any) -> list[str]:
    try:
        return [str(key) for key in value.keys()]  # noqa: SIM118  (a table of pandas iterates otherwise)
    except Exception:  # noqa: BLE001  (costs the near miss, not the message)
        return []


def _public(value: Any) -> list[str]:
    try:
        return [name for name in dir(value) if not name.startswith("_")]
    except Exception:  # noqa: BLE001  (costs the near miss, not the message)
        return []


def _near(name: str, candidates: list[str]) -> str:
    close = get_close_matches(name, candidates, n=2, cutoff=0.65)
    return f" (did you mean {' or '.join(f'`{match}`' for match in close)}?)" if close else ""


def _malformed(written: str, path: str) -> str:
    if written == "${":
        return f"`${{` (in `{path}`) is never closed: add `}}`, or write `$${{` for the text itself"
    shown = written if len(written) <= _SHOWN else written[:_SHOWN] + "…"
    return (
        f"`{shown}` (in `{path}`) is not a name with a path such as `${{rows[0].name}}`: nothing is computed here, so "
        f"compute it in Python before, or write `${shown}` for the text itself"
    )


def _report(faults: list[str]) -> str:
    distinct = list(dict.fromkeys(faults))
    if len(distinct) == 1:
        text = distinct[0]
        return f"{text}. For a plain dollar write `$$`." if "there is no variable" in text else f"{text}."
    listed = [f"\n  - {fault}" for fault in distinct[:_LISTED]]
    if len(distinct) > _LISTED:
        listed.append(f"\n  - and {len(distinct) - _LISTED:,} more")
    return f"{len(distinct):,} values cannot be put into the inputs:{''.join(listed)}\nFor a plain dollar write `$$`."


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)


def _names(text: str) -> Iterator[str]:
    if whole := _WHOLE.fullmatch(text):
        yield whole[1]
        return
    for match in _DOLLAR.finditer(text):
        if inner := _BRACED.fullmatch(match[1] or ""):
            yield inner[1]
