"""The inputs that a graph declares, and whether a run's inputs are those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .values import equal

NAMES = "letters a-z, digits and _"
_MISSING = object()
_SHOWN = 100
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Input:
    """One input: ``required`` means that a run cannot start without it."""

    name: str
    type: str | None = None
    required: bool = True
    default: Any = None
    enum: tuple[Any, ...] = ()

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        if self.type and not _is(value, self.type):
            return f"{self.name!r} is to be of type {self.type}, not {kind(value)}"
        if self.enum and not any(equal(value, one) for one in self.enum):
            given = repr(value)
            shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
            return f"{self.name!r} is to be one of {', '.join(map(repr, self.enum))}, not {shown}"
        return None


def is_name(name: str) -> bool:
    """Tell whether an input, a node or a variable can be called so."""
    return name.isascii() and name.isidentifier()


def read_inputs(document: Mapping[str, Any]) -> tuple[dict[str, Input], list[tuple[str, str]]]:
    """Return the declared inputs, and each fault as (field, message).

    They stand in ``input_data``: a map to schemas, bare types or bare defaults, or a list. A fault of the field
    ``input_data`` itself means that there may be inputs which could not be read.
    """
    given = document.get("input_data") or {}
    faults = []
    if isinstance(given, list):
        named = {str(one.get("name")): one for one in given if isinstance(one, Mapping) and one.get("name")}
        if len(named) != len(given):
            faults.append(("input_data", "each input in the list needs a name of its own"))
        given = named
    if not isinstance(given, Mapping):
        return {}, [("input_data", "input_data is an object from a name to what the input is")]
    inputs = {name: _read(name, schema) for name, schema in given.items()}
    faults += [fault for name, schema in given.items() for fault in _check(name, schema, inputs[name])]
    return inputs, faults


def with_defaults(inputs: Mapping[str, Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` with the defaults of what is missing.

    Raises
    ------
    ValueError
        Naming every input that is missing or not as declared.
    """
    wrong = [fault for name, value in given.items() if name in inputs and (fault := inputs[name].fault(value))]
    missing = [one.name for one in inputs.values() if one.required and one.name not in given]
    if missing:
        names = ", ".join(map(repr, missing))
        wrong.insert(0, f"missing required input{'s' if len(missing) > 1 else ''}: {names}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return {**{one.name: one.default for one in inputs.values()}, **given}


def kind(value: Any) -> str:
    """Return the name that JSON Schema has for the type of ``value``."""
    if value is None:
        return "null"
    return next(name for name in ("boolean", "string", "integer", "number", "array", "object") if _is(value, name))


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())


def _read(name: str, schema: Any) -> Input:
    if isinstance(schema, str) and schema in _TYPES:
        return Input(name, schema)
    if not isinstance(schema, Mapping):
        return Input(name, None if schema is None else kind(schema), required=False, default=schema)
    default = schema.get("default", _MISSING)
    required = schema.get("required", default is _MISSING)
    declared = schema.get("type")
    enum = schema.get("enum")
    return Input(
        name,
        declared if isinstance(declared, str) and declared in _TYPES else None,
        required=bool(required) and default is _MISSING,
        default=None if default is _MISSING else default,
        enum=tuple(enum) if isinstance(enum, list) else (),
    )


def _check(name: str, schema: Any, read: Input) -> Iterator[tuple[str, str]]:
    where = f"input_data.{name}"
    if not is_name(name):
        yield where, f"{name!r} is no name: {NAMES}"
    if not isinstance(schema, Mapping):
        return
    declared = schema.get("type")
    if declared is not None and not (isinstance(declared, str) and declared in _TYPES):
        yield f"{where}.type", f"there is no type {declared!r}; there are: {', '.join(_TYPES)}"
    if not isinstance(schema.get("enum", []), list):
        yield f"{where}.enum", "enum is a list of the values that are allowed"
    elif schema.get("default") is not None and (fault := read.fault(schema["default"])):
        yield f"{where}.default", fault
