"""Which inputs a workflow takes, where nothing on the service says so outright.

A ladder, not a union: the first source that names any input wins.

1. ``input_data`` of the graph (declared)
2. the start node of the web editor's canvas
3. names that templates use and no node provides
4. the inputs of earlier runs (asked for only where the graph says nothing)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .records import Input, graph_of

TYPES = {
    "string": "string", "str": "string", "text": "string",
    "number": "number", "float": "number",
    "integer": "integer", "int": "integer",
    "boolean": "boolean", "bool": "boolean",
    "array": "array", "list": "array",
    "object": "object", "dict": "object", "json": "object",
}  # fmt: skip
FORMATS = {
    "date": "date", "time": "time",
    "date-time": "date-time", "datetime": "date-time", "timestamp": "date-time",
    "multiline": "multiline", "textarea": "multiline",
    "file": "file", "binary": "file", "byte": "file",
    "password": "password", "secret": "password",
}  # fmt: skip
"""Kinds of text, by the words that schemas and editors use for them."""

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*(?=[.\[}])")


def from_graph(graph: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs that the graph itself names, from the first source that names any."""
    return tuple(_declared(graph.get("input_data")) or _canvas(graph.get("node_metadata")) or _templates(graph))


def from_history(runs: Iterable[Mapping[str, Any]]) -> tuple[Input, ...]:
    """Return the inputs that earlier runs had, in the order of the newest that has them."""
    seen: dict[str, Input] = {}
    for inputs in runs:
        for name, value in inputs.items():
            if name not in seen:
                seen[name] = Input(name, json_type(value), source="history")
    return tuple(seen.values())


def json_type(value: Any) -> str | None:
    """Return the JSON Schema word for a value's type, None for null."""
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, "boolean"),  # before int, which it is too
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (Mapping, "object"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), None)


def _declared(data: Any) -> list[Input]:
    if isinstance(data, Mapping):
        return [_one(str(name), said, "declared") for name, said in data.items()]
    if isinstance(data, list):
        return list(_named(data, "declared"))
    return []


def _canvas(data: Any) -> list[Input]:
    nodes = graph_of(data).get("nodes")
    found: list[Input] = []
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, Mapping) and node.get("type") == "start":
            inner = node.get("data")
            entries = inner.get("inputData") if isinstance(inner, Mapping) else None
            found += _named(entries if isinstance(entries, list) else (), "canvas")
    return found


def _named(entries: Iterable[Any], source: str) -> Iterator[Input]:
    for entry in entries:
        if isinstance(entry, Mapping):
            name = entry.get("name") or entry.get("key") or entry.get("variable")
            if name:
                yield _one(str(name), entry, source)
        elif isinstance(entry, str) and entry:
            yield Input(entry, source=source)


def _one(name: str, said: Any, source: str) -> Input:
    """Read one input: a schema, a bare type name, or a bare default."""
    if isinstance(said, str) and said.lower() in TYPES:
        return Input(name, TYPES[said.lower()], required=source == "declared", source=source)
    if isinstance(said, str) and said.lower() in FORMATS:
        return Input(name, "string", format=FORMATS[said.lower()], required=source == "declared", source=source)
    if not isinstance(said, Mapping):
        return Input(name, json_type(said), default=said, has_default=said is not None, source=source)
    word = said.get("type")
    choices, items = said.get("enum"), said.get("items")
    of_items = items.get("enum") if isinstance(items, Mapping) else None
    form = _format(said)
    return Input(
        name,
        _type(word, form) if isinstance(word, str) else json_type(said.get("default")) or ("string" if form else None),
        description=str(said.get("description") or ""),
        default=said.get("default"),
        has_default="default" in said,
        required=_required(said, source),
        enum=tuple(choices) if isinstance(choices, list) else (),
        source=source,
        format=form,
        item_enum=tuple(of_items) if isinstance(of_items, list) else (),
    )


def _required(said: Mapping[str, Any], source: str) -> bool:
    """Whether a run cannot start without it: a graph that declares an input without a default needs it."""
    word = said.get("required")  # of an object it may be the list of its members
    return "default" not in said and (word if isinstance(word, bool) else source == "declared")


def _type(word: str, form: str) -> str | None:
    return TYPES.get(word.lower()) or ("string" if form else None)


def _format(said: Mapping[str, Any]) -> str:
    """Return what kind of text a schema asks for; some name it as the type."""
    words = (said.get("format"), said.get("type"))
    found = (FORMATS[word.lower()] for word in words if isinstance(word, str) and word.lower() in FORMATS)
    return next(found, "password" if said.get("writeOnly") is True else "")


def _templates(graph: Mapping[str, Any]) -> list[Input]:
    nodes = graph.get("nodes")
    if not isinstance(nodes, Mapping):
        return []
    provided = set(nodes)
    for node in nodes.values():
        metadata = node.get("metadata") if isinstance(node, Mapping) else None
        mapping = metadata.get("output_mapping") if isinstance(metadata, Mapping) else None
        provided |= set(mapping) if isinstance(mapping, Mapping) else set()
    names = dict.fromkeys(name for text in _texts(nodes) for name in _REFERENCE.findall(text))
    return [Input(name, required=True, source="template") for name in names if name not in provided]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
