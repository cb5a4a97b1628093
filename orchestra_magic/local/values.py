"""JSON values and times, in the forms that the documented answers have."""

from __future__ import annotations

import json
import math
import re
import time
from datetime import datetime, timezone
from typing import Any

MAX_DEPTH = 200
_HALF = re.compile("[\ud800-\udfff]")


def now() -> int:
    """Return the time in microseconds since 1970, the unit of every time that is stored."""
    return time.time_ns() // 1000


def run_time(microseconds: int | None) -> str | None:
    """Return a time as runs and steps print it: ``2025-04-24T03:18:12.322630Z``."""
    return None if microseconds is None else f"{_moment(microseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def workflow_time(microseconds: int) -> str:
    """Return a time as workflows print it: ``2025-03-12 00:59:55.465508+00:00``."""
    return f"{_moment(microseconds):%Y-%m-%d %H:%M:%S.%f}+00:00"


def elapsed(started: int | None, ended: int | None) -> int | None:
    """Return whole seconds, rounded down, as the documented examples do."""
    return None if started is None or ended is None else max(0, ended - started) // 1_000_000


def _moment(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=rest)


def dumps(value: Any) -> str:
    """Return ``value`` as compact JSON in ASCII, which any database and any pipe takes."""
    return _ENCODER.encode(value)


def loads(document: str | bytes) -> Any:
    """Return the value of a JSON document.

    Raises
    ------
    ValueError
        For what is no JSON, also NaN and Infinity, which others read.
    """
    try:
        if isinstance(document, bytes):
            document = document.decode(json.detect_encoding(document), "surrogatepass")
        return _DECODER.decode(document)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large for a number")
    return number


# Made once: those of short documents take longer to make than to use.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def text(value: Any) -> str:
    """Return ``value`` as it stands inside a longer text: text as it is, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def unstorable(value: Any, depth: int = 0) -> str | None:
    """Return why :func:`plain` would change a value that was read from JSON, and what to do; None if it would not."""
    if isinstance(value, str):
        half = not value.isascii() and _HALF.search(value)
        said = "half of a character (a lone surrogate): send the whole one"
        return f"holds \\u{ord(half[0]):x}, {said}" if half else None
    if not isinstance(value, dict | list):
        return None
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels: send it flatter, or the inner part as text"
    for part in (*value, *value.values()) if isinstance(value, dict) else value:
        flaw = unstorable(part, depth + 1)
        if flaw:
            return flaw
    return None


def equal(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal: to JSON, unlike to Python, true is no 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(item, right[key]) for key, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def plain(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as JSON can hold it: keys as text, no NaN, no lone surrogates, no endless nesting."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > MAX_DEPTH:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {plain(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return str(value)
