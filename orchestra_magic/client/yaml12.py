"""YAML 1.2 (core schema) on the events of PyYAML: its parser, none of its meanings.

Events come one by one and need no recursion: PyYAML's own loader reads YAML 1.1 (``no`` is False), keeps the
last of two equal keys, and in C can be crashed by nesting. What a plain word means is decided here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import yaml_faults, yaml_refusals
from .body import Body
from .refusals import MAX_DEPTH, MAX_DIGITS

__all__ = ["read_yaml"]

MAX_REPEATED = 1_000_000
"""How many characters aliases may add; each value counts for 20 and its text."""

_VALUE = 20
_CORE = "tag:yaml.org,2002:"
_CONSTANTS: dict[str, Any] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMERIC = frozenset("+-.0123456789")
_LOST_COMMENT = re.compile(r"[ \t]+(#[^\s#][^\r\n]*)")
_HALF = re.compile("[\ud800-\udfff]")
_PYTHON_DICT = re.compile(r"\s*\{\s*'")

# YAML 1.1 breaks lines at these, YAML 1.2 and editors do not: PyYAML gets stand-ins
_BREAKS = "\x85\u2028\u2029"


def read_yaml(body: Body) -> tuple[int, Any]:
    """Read a YAML document.

    Returns
    -------
    tuple[int, Any]
        Where its value begins (-1 if there is none), and the value.

    Raises
    ------
    OrchestraInputError
        If it is not YAML, or what cannot be sent as JSON, or what a reader would take for something else.
    """
    yaml_refusals.check_characters(body)
    text, stand_ins = _hide_breaks(body.text)
    reader = _Reader(body, stand_ins)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.take(event)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML in Python lets some of chr() and int() pass
        raise yaml_faults.explain(body, error, reader.last) from None
    reader.check_anchors()
    return reader.start, reader.value


def _hide_breaks(text: str) -> tuple[str, dict[int, str]]:
    """Replace each line break of YAML 1.1 alone by a private character that the text does not have."""
    found = [character for character in _BREAKS if character in text]
    if not found:
        return text, {}
    written = text.upper()
    free = (chr(code) for code in range(0xF0000, 0xFFFFE) if chr(code) not in text and f"{code:X}" not in written)
    pairs = list(zip(found, free, strict=False))
    hidden = text.translate({ord(real): private for real, private in pairs})
    return hidden, {ord(private): real for real, private in pairs}


@dataclass
class _Level:
    """A list or mapping that is still open."""

    value: Any
    start: int
    flow: bool
    anchor: str | None
    size: int = _VALUE
    height: int = 1
    key: str | None = None
    key_start: int = 0
    key_is_plain: bool = False
    keys: dict[str, int] = field(default_factory=dict)


@dataclass
class _Anchored:
    """A value with a name; None while it is still open."""

    value: Any = None
    size: int = 0
    height: int = 0
    is_open: bool = True


class _Reader:
    """Builds the value from events, and refuses on the way."""

    def __init__(self, body: Body, stand_ins: dict[int, str]) -> None:
        self.body = body
        self.stand_ins = stand_ins
        self.value: Any = None
        self.start = -1
        self.last: Any = None
        self.levels: list[_Level] = []
        self.anchors: dict[str, _Anchored] = {}
        self.unused: dict[str, int] = {}
        self.repeated = 0
        self.is_python = _PYTHON_DICT.match(body.text) is not None

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and isinstance(self.last, yaml.DocumentEndEvent):
            raise self._error(event, yaml_refusals.SECOND_DOCUMENT)
        self.last = event

    def check_anchors(self) -> None:
        """Refuse ``&name`` before text that no ``*name`` repeats: it would be lost without a word."""
        for name, index in self.unused.items():
            raise self.body.error(index, yaml_refusals.unused_anchor(self.body.text, name, index))

    def _error(self, event: Any, reason: str) -> Exception:
        return self.body.error(event.start_mark.index, reason)

    def _real(self, text: str) -> str:
        return text.translate(self.stand_ins) if self.stand_ins else text

    def _scalar(self, event: Any) -> None:
        text = self._real(event.value)
        if _HALF.search(text) and (half := yaml_refusals.half_character(self.body.text, event.start_mark.index)):
            raise self.body.error(*half)  # PyYAML in Python reads them, PyYAML in C does not
        plain = not event.style
        if event.tag not in (None, "!"):
            value = self._tagged(event, text)
        elif event.tag is None and plain:
            value = self._plain(event, text)
        else:
            value = text
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, len(text) + _VALUE, 0, is_open=False)
            self.unused[event.anchor] = event.start_mark.index
        if self._wants_key():
            self._key(event, value, text, plain=plain)
            return
        if plain and not text:
            self._check_empty(event)
        self._add(value, event.start_mark.index, len(text) + _VALUE, 0)

    def _plain(self, event: Any, text: str) -> Any:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] in _NUMERIC:
            if _INTEGER.fullmatch(text):
                return self._integer(event, text)
            if _FLOAT.fullmatch(text):
                return self._float(event, text)
            if _NOT_FINITE.fullmatch(text):
                raise self._error(event, f'JSON has no {text}: write null, or the text "{text}".')
        if text[-1] == "," and (
            text[:-1] in _CONSTANTS or _INTEGER.fullmatch(text[:-1]) or _FLOAT.fullmatch(text[:-1])
        ):
            raise self.body.error(event.end_mark.index - 1, yaml_refusals.COMMA)
        if self.is_python and (text == "None" or text[0] == "("):
            raise self._error(event, yaml_refusals.python_value(text))
        return text

    def _integer(self, event: Any, text: str) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        digits = text[2:] if base != 10 else text.lstrip("+-")
        try:
            if len(digits) <= MAX_DIGITS:
                number = int(digits, base)
                if base == 10 or number < 10**MAX_DIGITS:
                    return -number if text[0] == "-" else number
        except ValueError:  # the limit of this interpreter was lowered
            pass
        raise self._error(event, f'An integer has {MAX_DIGITS:,} digits at most: write it as text, "{text[:5]}…".')

    def _float(self, event: Any, text: str) -> float:
        number = float(text)
        if math.isinf(number):
            shown = text[:20]
            raise self._error(event, f'{shown} is too large for a number of JSON: write it as text, "{shown}".')
        return number

    def _tagged(self, event: Any, text: str) -> Any:
        kind = event.tag.removeprefix(_CORE)
        if kind == event.tag or kind not in {"str", "int", "float", "bool", "null"}:
            raise self._error(event, yaml_refusals.unknown_tag(self.body.text, event.start_mark.index))
        if kind == "str":
            return text
        value = self._plain(event, text)
        if kind == "float" and type(value) is int:
            value = self._float(event, text) if _FLOAT.fullmatch(text) else float(value)
        if type(value).__name__.replace("NoneType", "null") != kind:
            raise self._error(event, f"`!!{kind}` does not fit `{text[:40]}`: remove it, or correct the value.")
        return value

    def _open(self, event: Any) -> None:
        is_mapping, index = isinstance(event, yaml.MappingStartEvent), event.start_mark.index
        if self._wants_key():
            raise self.body.error(*yaml_refusals.complex_key(self.body.text, self.levels[-1].start, index))
        if event.tag not in (None, "!", _CORE + ("map" if is_mapping else "seq")):
            raise self._error(event, yaml_refusals.unknown_tag(self.body.text, index))
        if len(self.levels) >= MAX_DEPTH:
            raise self._error(event, yaml_refusals.TOO_DEEP)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored()
            self.unused.pop(event.anchor, None)
        self.levels.append(_Level({} if is_mapping else [], index, bool(event.flow_style), event.anchor))

    def _close(self) -> None:
        level = self.levels.pop()
        named = self.anchors.get(level.anchor) if level.anchor else None
        if named and named.is_open and level.anchor:
            self.anchors[level.anchor] = _Anchored(level.value, level.size, level.height, is_open=False)
        self._add(level.value, level.start, level.size, level.height)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        found = self.anchors.get(name)
        if found is None:
            raise self._error(event, yaml_refusals.unknown_alias(self.body.text, name, event.start_mark.index))
        if found.is_open:
            raise self._error(event, f"`*{name}` stands inside `&{name}`, so that it has no end: remove it.")
        self.unused.pop(name, None)
        self.repeated += found.size
        if self.repeated > MAX_REPEATED:
            raise self._error(event, yaml_refusals.ALIAS_BOMB)
        if len(self.levels) + found.height > MAX_DEPTH:
            raise self._error(event, yaml_refusals.TOO_DEEP)
        if self._wants_key():
            self._key(event, found.value, str(found.value), plain=False)
        else:
            self._add(_copy(found.value), event.start_mark.index, found.size, found.height)

    def _wants_key(self) -> bool:
        return bool(self.levels) and self.levels[-1].key is None and isinstance(self.levels[-1].value, dict)

    def _key(self, event: Any, value: Any, text: str, *, plain: bool) -> None:
        level, index = self.levels[-1], event.start_mark.index
        if not isinstance(value, str):
            raise self.body.error(*yaml_refusals.key_is_no_text(self.body.text, value, text, index))
        if plain and value == "<<":
            raise self._error(event, yaml_refusals.MERGE_KEY)
        if plain and value and not (value[0].isprintable() and value[-1].isprintable()):
            raise self._error(event, yaml_refusals.unseen_in_key(value))
        if value in level.keys:
            first = self.body.line(level.keys[value])
            raise self._error(
                event, f"The key `{value[:60]}` is here twice (first on line {first}): rename or remove one of them."
            )
        level.keys[value] = index
        level.key, level.key_start, level.key_is_plain = value, index, plain
        level.size += len(text) + _VALUE

    def _check_empty(self, event: Any) -> None:
        """Refuse an empty value where text was written that YAML does not see as one."""
        level = self.levels[-1] if self.levels else None
        if level is None or level.key is None:
            return
        if level.flow and level.key_is_plain and ":" in level.key:
            raise self.body.error(level.key_start, yaml_refusals.no_space_in_flow(level.key))
        if not level.flow and (lost := _LOST_COMMENT.match(self.body.text, event.end_mark.index)):
            raise self.body.error(lost.start(1), yaml_refusals.lost_comment(level.key, lost[1]))

    def _add(self, value: Any, index: int, size: int, height: int) -> None:
        if not self.levels:
            # an empty document has a value too, which nobody wrote
            self.value, self.start = value, index if value is not None or size > _VALUE else -1
            return
        level = self.levels[-1]
        level.size += size
        level.height = max(level.height, height + 1)
        if isinstance(level.value, list):
            level.value.append(value)
        else:
            level.value[level.key] = value
            level.key = None


def _copy(value: Any) -> Any:
    """Copy what an alias repeats, so that the result is a tree."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
