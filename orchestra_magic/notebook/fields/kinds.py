"""Which kind of field an input gets, and how a person changes that by ``fields={...}``."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from ...client.discovery import FORMATS, TYPES, from_graph
from ...client.records import Input
from ...errors import OrchestraUsageError

TEXT, LONG_TEXT, INTEGER, NUMBER, TICK = "text", "long text", "integer", "number", "true or false"
CHOICE, CHOICES, LIST, OBJECT, ANY = "choice", "several choices", "list", "JSON object", "JSON"
DATE, TIME, DATETIME, FILE, SECRET = "date", "time", "date and time", "file", "secret"

_LONG = 60
"""A default that is longer gets more than one line."""

_BY_FORMAT = {
    "date": DATE,
    "time": TIME,
    "date-time": DATETIME,
    "file": FILE,
    "password": SECRET,
    "multiline": LONG_TEXT,
}
_BY_TYPE = {"boolean": TICK, "integer": INTEGER, "number": NUMBER, "array": LIST, "object": OBJECT}
_MEANS: dict[str, dict[str, Any]] = {
    TEXT: {"type": "string", "format": "", "enum": ()},
    CHOICE: {"type": None, "format": ""},
    CHOICES: {"type": "array", "format": "", "enum": ()},
    ANY: {"type": "any", "format": "", "enum": ()},
    **{kind: {"type": word, "format": "", "enum": (), "item_enum": ()} for word, kind in _BY_TYPE.items()},
    **{kind: {"type": "string", "format": word, "enum": ()} for word, kind in _BY_FORMAT.items()},
}
KINDS = tuple(_MEANS)
"""The words for a kind of field."""

SOURCES = {
    "declared": "declared",
    "canvas": "known from the start node",
    "template": "known from a template",
    "history": "known from earlier runs",
    "given": "given in the notebook",
    "hand": "added by hand",
}
"""Where an input is known from, in words."""

_KEYS = {
    "type": ("type", "format"),
    "format": ("format", "type"),
    "description": ("description",),
    "default": ("default", "has_default"),
    "required": ("required",),
    "enum": ("enum",),
    "items": ("item_enum",),
}
"""What a schema's member says of an input."""
_ALIASES = {"help": "description", "choices": "enum"}


def kind_of(known: Input) -> str:
    """Return the kind of field for an input."""
    if known.item_enum and known.type == "array":
        return CHOICES
    if known.enum:
        return CHOICE
    if known.format in _BY_FORMAT and known.type in {"string", None}:
        return _BY_FORMAT[known.format]
    if known.type == "any":
        return ANY
    default = known.default if isinstance(known.default, str) else ""
    is_long = len(default) > _LONG or "\n" in default
    return _BY_TYPE.get(known.type or "", LONG_TEXT if is_long else TEXT)


def by_hand(name: str, kind: str, *, source: str = "hand") -> Input:
    """Return an input that the workflow does not name.

    Raises
    ------
    OrchestraUsageError
        If there is no such kind of field.
    """
    return _of_kind(Input(name, source=source), kind)


def overridden(known: tuple[Input, ...], said: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs with what ``fields=`` says of them: None leaves one out, a new name adds one.

    Raises
    ------
    OrchestraUsageError
        If it says what no field can be.
    """
    inputs = {each.name: each for each in known}
    for name, change in said.items():
        if change is None:
            inputs.pop(name, None)
        else:
            inputs[name] = _changed(inputs.get(name, Input(name, source="given")), change)
    return tuple(inputs.values())


def _changed(known: Input, change: Any) -> Input:
    if isinstance(change, str):
        return _of_kind(known, change)
    if not isinstance(change, Mapping):
        raise OrchestraUsageError(
            f"fields[{known.name!r}] is {change!r}: give a kind of field ({', '.join(KINDS)}), a dict of what is"
            " to be different, or None to leave the field out."
        )
    said = {_ALIASES.get(key, key): value for key, value in change.items()}
    kind = said.pop("kind", None)
    for key in said:
        if key not in _KEYS:
            words = [*_KEYS, *_ALIASES, "kind"]
            near = difflib.get_close_matches(str(key), words, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(words)}."
            raise OrchestraUsageError(f"fields[{known.name!r}] has the key {key!r}. {hint}")
    if "enum" in said:
        said["enum"] = list(said["enum"])
    (read,) = from_graph({"input_data": {known.name: said}})
    # A format may come with the type and the other way round: what was not said changes only where it follows.
    names = {name for key in map(str, said) for name in _KEYS[key] if name != "format" or key == name or read.format}
    if read.type is None:
        names.discard("type")
    found = dataclasses.replace(known, **{name: getattr(read, name) for name in names})
    if kind is not None:
        found = _of_kind(found, kind)
        if kind == CHOICES and read.enum:
            found = dataclasses.replace(found, item_enum=read.enum)
    return found


def _of_kind(known: Input, kind: str) -> Input:
    if kind in _MEANS:
        means = dict(_MEANS[kind])
        if means["type"] is None:
            means["type"] = known.type
        return dataclasses.replace(known, **means)
    if kind.lower() in TYPES or kind.lower() in FORMATS:
        (read,) = from_graph({"input_data": {known.name: kind}})
        return dataclasses.replace(known, type=read.type, format=read.format, enum=(), item_enum=())
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(KINDS)}."
    raise OrchestraUsageError(f"There is no kind of field {kind!r} for {known.name!r}. {hint}")
