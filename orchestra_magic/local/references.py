"""``{{a.b[0].c}}``: find references in JSON values, and put the values that they name in their place.

A reference is a path and nothing else. Nothing is evaluated, and a value is never read as a template again.
The braces themselves are written ``{{'{{'}}``: ``{{'{{'}}topic}}`` is the text ``{{topic}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .sandbox.code_references import NAME, PATH
from .values import text

_REFERENCE = re.compile(rf"\{{\{{\s*(?:({PATH})|'\{{\{{')\s*\}}\}}")
_OPENED = re.compile(r"\{\{[^}\0]*\}{0,2}")
_PART = re.compile(rf"\.?({NAME})|\.([0-9]+)|\[(-?[0-9]+)\]|\['([^'\]]*)'\]|\[\"([^\"\]]*)\"\]")
_NEAR = 8
_SHOWN = 60


class UnknownReferenceError(LookupError):
    """A reference names something that is not there. The message says what is.

    ``path`` is what stood between the braces.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{{{{{path}}}}}: {reason}")
        self.path = path


def is_path(path: str) -> bool:
    """Tell whether ``path`` can stand between double braces."""
    return re.fullmatch(PATH, path) is not None


def head(path: str) -> str:
    """Return the name that a path begins with."""
    found = _PART.match(path)
    return found.group(1) if found else path


def find(value: Any) -> Iterator[str]:
    """Yield the path of every reference in ``value``, however deep it stands."""
    for template in _texts(value):
        yield from (match.group(1) for match in _REFERENCE.finditer(template) if match.group(1))


def misfits(value: Any) -> Iterator[str]:
    """Yield what is wrong with each ``{{`` in ``value`` that begins no reference: nobody would see it stay."""
    for template in _texts(value):
        for match in _OPENED.finditer(_REFERENCE.sub("\0", template)):
            yield f"{no_reference(match.group())}; {{{{ as text is written {{{{'{{{{'}}}}"


def no_reference(said: str) -> str:
    """Return that ``said`` is none, and what would be one."""
    line = " ".join(said.split())
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
    return f"{shown} is no reference, which is a path such as {{{{topic}}}} or {{{{rows[0].name}}}}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def fill(value: Any, scope: Mapping[str, Any]) -> Any:
    """Return ``value`` with its references replaced.

    A text that is one reference and nothing else becomes the value with its type; within longer text the
    value stands as text.

    Raises
    ------
    UnknownReferenceError
        If a reference names something that ``scope`` does not hold.
    """
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value.strip())
        if whole and whole.group(1):
            return look_up(whole.group(1), scope)
        return _REFERENCE.sub(lambda match: text(look_up(match.group(1), scope)) if match.group(1) else "{{", value)
    if isinstance(value, Mapping):
        return {key: fill(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, scope) for item in value]
    return value


def look_up(path: str, scope: Mapping[str, Any]) -> Any:
    """Return what ``path`` names.

    Raises
    ------
    UnknownReferenceError
        If there is no such thing; the message names the reference and the names that exist.
    """
    if not is_path(path):
        raise UnknownReferenceError(path, "this is no path, such as topic or rows[0].name")
    outer: Any = None
    current: Any = scope
    done = ""
    for match in _PART.finditer(path):
        name, dotted, index, *quoted = match.groups()
        key = next(part for part in (name, dotted, index, *quoted) if part is not None)
        if isinstance(current, Mapping):
            if key not in current:
                raise _missing(path, key, done, current)
            if key == "results" and isinstance(outer, Mapping) and outer.get("successful") is False:
                raise UnknownReferenceError(path, _no_results(current))
            outer, current = current, current[key]
        elif isinstance(current, list) and (dotted or index):
            position = int(key)
            if not -len(current) <= position < len(current):
                reason = f"{done} has {len(current)} items, so there is no [{position}]"
                raise UnknownReferenceError(path, reason)
            outer, current = current, current[position]
        else:
            kind = _KINDS.get(type(current), type(current).__name__)
            raise UnknownReferenceError(path, f"{done} is {kind}, which has no {key!r}")
        done += match.group(0)
    return current


def _no_results(data: Mapping[str, Any]) -> str:
    # The documented output has null here, and a later node would go on calculating with it.
    last = str(data.get("error") or "").strip().splitlines()[-1:]
    return f"it has no value, because the code failed: {''.join(last) or 'no reason was given'}"


_KINDS: dict[type, str] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    list: "a list",
    type(None): "null",
}


def _missing(path: str, key: str, done: str, present: Mapping[str, Any]) -> UnknownReferenceError:
    names = ", ".join(str(name) for name in list(present)[:_NEAR]) or "nothing"
    if len(present) > _NEAR:
        names += ", …"
    if not done:
        return UnknownReferenceError(path, f"there is no {key!r} here; there is: {names}")
    return UnknownReferenceError(path, f"{done} has no {key!r}; it has: {names}")
