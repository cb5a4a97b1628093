"""How a value that JSON has no form for is refused: by its key path, with what to send instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from enum import Enum
from typing import Any

from ..errors import OrchestraInputError

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "check_text", "child", "kind_of", "named", "refusal", "text_key"]

MAX_DEPTH = 100
"""How deep lists and mappings may be nested: ``{"a": 1}`` is one deep."""

MAX_DIGITS = 4300
"""How many digits an integer may have: what Python itself converts by default."""


def child(path: str, key: str | int) -> str:
    """Give the key path of what ``path`` holds under ``key``.

    Examples
    --------
    >>> child(child(child("inputs", "table"), 3), "mean mass")
    'inputs.table[3][mean mass]'
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not path:
        return key
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key}]"


def text_key(key: Any, path: str) -> str:
    """Give a key as the text that it is, or refuse it."""
    plain = key.value if isinstance(key, Enum) else key
    if not isinstance(plain, str):
        raise OrchestraInputError(
            f"{named(path)} has the key {_shown(key)} ({kind_of(key)}); the keys of JSON are text: "
            f"write it as {str(_shown(plain))!r} or rename it."
        )
    return check_text(plain, child(path, "…"))


def check_text(value: str, path: str) -> str:
    """Give a text as a plain ``str``, or refuse it if it cannot be sent as UTF-8."""
    plain = str.__str__(value)
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError as error:
            raise OrchestraInputError(
                f"{named(path)} holds half of a character (U+{ord(plain[error.start]):04X}, a lone surrogate), "
                f'which cannot be sent: read the text again with its right encoding, or use errors="replace".'
            ) from None
    return plain


_REMEDIES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda value: isinstance(value, (bytes, bytearray, memoryview)), 'send base64.b64encode(x).decode("ascii")'),
    (lambda value: isinstance(value, (set, frozenset)), "a set has no order: send sorted(x)"),
    (lambda value: isinstance(value, timedelta), "send x.total_seconds(), or str(x)"),
    (lambda value: type(value).__name__ == "timedelta64", 'send x / numpy.timedelta64(1, "s")'),
    (lambda value: isinstance(value, type) or callable(value), "send what it returns, not itself"),
    (lambda value: isinstance(value, Iterable), "send list(x)"),
)


def refusal(value: Any, path: str) -> OrchestraInputError:
    """Build the error for a value that has no form in JSON."""
    remedy = "turn it into text, numbers, lists or dicts first"
    for applies, text in _REMEDIES:
        if applies(value):
            remedy = text
            break
    return OrchestraInputError(f"{named(path)} is {kind_of(value)}, which JSON has no form for: {remedy}.")


def kind_of(value: Any) -> str:
    """Give the type of a value with its article: ``a list``, ``an int``, ``a pandas.Period``."""
    kind = type(value)
    home = kind.__module__
    if home.startswith(("pandas.", "numpy.")):  # where it is defined changes with the version
        home = home.partition(".")[0]
    name = kind.__qualname__ if home == "builtins" else f"{home}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _shown(value: Any) -> str:
    try:
        text = repr(value) if isinstance(value, (int, float, tuple, date, Enum, type(None))) else "…"
    except Exception:  # noqa: BLE001  (an integer may be too long to show, and a tuple may hold anything)
        return "…"
    return text if len(text) <= 40 else text[:39] + "…"


def named(path: str) -> str:
    """Give a key path as the subject of a sentence."""
    return f"`{path}`" if path else "The value"
