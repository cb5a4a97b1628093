"""What was typed into a field becomes the value to send, or an error that says what the input takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from ...client.body import Body
from ...client.json_text import read_json
from ...errors import OrchestraInputError
from ...views.words import line
from . import kinds

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read(kind: str, said: str, name: str) -> Any:
    """Return the value that was typed, as a cell's body would hold it.

    Raises
    ------
    OrchestraInputError
        If it is not what the input takes.
    """
    return _READERS.get(kind, _text)(said, name)


def _text(said: str, _: str) -> str:
    return said


def _refusal(name: str, takes: str, said: str) -> OrchestraInputError:
    return OrchestraInputError(f"The input {name!r} takes {takes}, and {line(said, 60)!r} is none.")


def _integer(said: str, name: str) -> int:
    if not _INTEGER.fullmatch(said.strip()):
        raise _refusal(name, "a whole number", said)
    try:
        return int(said)
    except ValueError:  # Python reads no more than 4,300 digits
        raise _refusal(name, "a whole number", said) from None


def _number(said: str, name: str) -> int | float:
    if _INTEGER.fullmatch(said.strip()):
        return _integer(said, name)
    if not _NUMBER.fullmatch(said.strip()):
        raise _refusal(name, "a number", said)
    return float(said)


def _moment(parse: Callable[[str], object], takes: str) -> Callable[[str, str], str]:
    def checked(said: str, name: str) -> str:
        text = said.strip()
        try:
            parse(re.sub(r"[zZ]$", "+00:00", text))  # which Python 3.10 does not read
        except ValueError:
            raise _refusal(name, takes, said) from None
        return text

    return checked


def _json(fits: Callable[[Any], bool], takes: str) -> Callable[[str, str], Any]:
    def checked(said: str, name: str) -> Any:
        try:
            value = read_json(Body(said))
        except OrchestraInputError as error:
            raise OrchestraInputError(
                f"The input {name!r} takes {takes}: line {error.line}, column {error.column}: {error.reason}"
            ) from None
        if not fits(value):
            raise OrchestraInputError(f"The input {name!r} takes {takes}.")
        return value

    return checked


_READERS: dict[str, Callable[[str, str], Any]] = {
    kinds.INTEGER: _integer,
    kinds.NUMBER: _number,
    kinds.LIST: _json(lambda value: isinstance(value, list), "a list as JSON"),
    kinds.CHOICES: _json(lambda value: isinstance(value, list), "a list as JSON"),
    kinds.OBJECT: _json(lambda value: isinstance(value, dict), "an object as JSON"),
    kinds.ANY: _json(lambda _: True, "a value as JSON"),
    kinds.DATE: _moment(date.fromisoformat, "a date such as 2026-01-31"),
    kinds.TIME: _moment(time.fromisoformat, "a time such as 14:30"),
    kinds.DATETIME: _moment(datetime.fromisoformat, "a date and time such as 2026-01-31T14:30+01:00"),
}
