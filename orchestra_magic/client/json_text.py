"""JSON, exactly: what ``json.loads`` reads, without what JSON does not have or a reader would take amiss."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .body import Body
from .refusals import MAX_DEPTH, MAX_DIGITS

__all__ = ["TOKEN", "read_json"]

# a string ends at the end of the text at the latest, so that one pass is linear whatever the text is
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
_BRACKET = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
TOKEN = re.compile(
    _STRING + r"|[\[\]{}:,]|-?(?:NaN|Infinity)|"
    r'-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[^\s\[\]{}:,"]',
    re.DOTALL,
)
_CONSTANT = re.compile(r"-?(?:NaN|Infinity)")
_INTEGER = re.compile(r"-?[0-9]+")


_SAFE = 900
"""So many levels are read without harm, and are counted faster afterwards than before."""


class _RefusedError(Exception):
    """Valid for ``json.loads``, refused here; where it stands is looked for afterwards."""


def read_json(body: Body) -> Any:
    """Read a JSON text.

    Raises
    ------
    OrchestraInputError
        If it is not JSON, or has a duplicate key, NaN, a number too large, or half a character.
    """
    brackets = body.text.count("[") + body.text.count("{")
    if brackets > _SAFE:
        _check_depth(body)
    try:
        value = json.loads(
            body.text,
            object_pairs_hook=_mapping,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        from .json_faults import explain

        raise explain(body, error) from None
    except _RefusedError:
        _refuse(body)
        raise body.error(0, "This holds what JSON cannot say.") from None
    except RecursionError:
        raise body.error(0, "There is too little stack left to read this: call it from less deep.") from None
    if MAX_DEPTH < brackets <= _SAFE and _is_deep(value):
        _check_depth(body)
    if re.search(r"\\u[dD][89a-fA-F]", body.text):
        _refuse(body)
    return value


@dataclass
class _Level:
    is_object: bool
    keys: dict[str, int] = field(default_factory=dict)
    expects_key: bool = True


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        inner = [item for held in level for item in (held.values() if isinstance(held, dict) else held)]
        level = [item for item in inner if isinstance(item, (dict, list))]
    return bool(level)


def _check_depth(body: Body) -> None:
    depth = 0
    for match in _BRACKET.finditer(body.text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise body.error(
                    match.start(),
                    f"This is nested more than {MAX_DEPTH} levels deep: send it flatter, or as text.",
                )
        elif match[0] in ("]", "}"):
            depth -= 1


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RefusedError
    return found


def _integer(text: str) -> int:
    try:
        if len(text) <= MAX_DIGITS:
            return int(text)
        if len(text.lstrip("-")) <= MAX_DIGITS:
            return int(text)
    except ValueError:  # the limit of this interpreter was lowered
        pass
    raise _RefusedError


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _RefusedError
    return number


def _constant(text: str) -> Any:
    raise _RefusedError(text)


def _tokens(text: str) -> Iterator[tuple[int, str, _Level | None]]:
    """Walk over the pieces of a text; a key comes with the level that it belongs to."""
    stack: list[_Level] = []
    for match in TOKEN.finditer(text):
        piece, top = match[0], stack[-1] if stack else None
        if piece in ("[", "{"):
            stack.append(_Level(is_object=piece == "{"))
        elif piece in ("]", "}"):
            if stack:
                stack.pop()
        elif top and piece in (":", ","):
            top.expects_key = piece == ","
        else:
            is_key = top is not None and top.is_object and top.expects_key and piece[0] == '"'
            yield match.start(), piece, top if is_key else None


def _refuse(body: Body) -> None:
    """Raise the first thing that is JSON by syntax and is refused all the same."""
    for index, token, level in _tokens(body.text):
        if token[0] == '"':
            _refuse_string(body, index, token, level)
        elif _CONSTANT.fullmatch(token):
            raise body.error(index, f'JSON has no {token}: write null, or the text "{token}".')
        elif _INTEGER.fullmatch(token):
            try:
                _integer(token)
            except _RefusedError:
                raise body.error(
                    index, f'An integer has {MAX_DIGITS:,} digits at most: write it as text, "{token[:5]}…".'
                ) from None
        elif token[-1].isdigit() and math.isinf(float(token)):
            raise body.error(
                index, f'{token[:20]} is too large for a number of JSON: write it as text, "{token[:20]}".'
            )


def _refuse_string(body: Body, index: int, token: str, level: _Level | None) -> None:
    try:
        text = json.loads(token)
        text.encode()
    except json.JSONDecodeError:
        return
    except UnicodeEncodeError as error:
        raise body.error(
            index,
            f"This text holds \\u{ord(text[error.start]):04x}, which is half of a character (a lone surrogate) "
            "and cannot be sent: write the character itself.",
        ) from None
    if level is None:
        return
    if text in level.keys:
        raise body.error(
            index,
            f"The key {token[:60]} is here twice (first on line {body.line(level.keys[text])}): rename or remove "
            "one of them.",
        )
    level.keys[text] = index
