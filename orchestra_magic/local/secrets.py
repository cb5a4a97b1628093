"""Keys, by their names: they stand in the server's environment or in the keyring of the system, and nowhere else.

A graph names a key; its value goes into the request alone, and what comes back is searched for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

PREFIX = "ORCHESTRA_SECRET_"
SERVICE = "orchestra_magic"
MASK = b"***"
_PATIENCE = 10.0
_SHORTEST = 6
_log = logging.getLogger(__name__)


async def find(name: str) -> str | None:
    """Return the value of ``name``: from the environment, else from the keyring, where that is installed."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    try:
        # A keyring that is locked may ask on a screen that nobody looks at.
        return await asyncio.wait_for(asyncio.to_thread(_from_keyring, name), _PATIENCE)
    except asyncio.TimeoutError:
        _log.warning("the keyring gave no answer within %g s", _PATIENCE)
        return None


def ways(name: str) -> str:
    """Say how a key is given."""
    return f"start the server with {name} in its environment, or store it with: keyring set {SERVICE} {name}"


def hide(answer: bytes, values: Iterable[str | None]) -> bytes:
    """Return ``answer`` without the keys that it may echo."""
    for value in values:
        if value is not None and len(value) >= _SHORTEST:
            answer = _forms(value).sub(MASK, answer)
    return answer


@lru_cache(maxsize=64)
def _forms(value: str) -> re.Pattern[bytes]:
    """Return what finds ``value`` before JSON is read, which escapes as it likes, and once more in a text inside it."""
    return re.compile(b"".join(map(_character, value)))


def _character(one: str) -> bytes:
    forms = (one, json.dumps(one)[1:-1].lstrip("\\"))
    plain, escaped = (re.escape(form.encode("utf-8", "surrogatepass")) for form in forms)
    return rb"(?:%b|\\{1,8}(?:%b|%b|u(?i:%04x)))" % (plain, plain, escaped, ord(one))


def hidden(value: Any, values: Iterable[str]) -> Any:
    """Return a JSON value without the keys, wherever in it they stand."""
    values = [one for one in values if len(one) >= _SHORTEST]
    if not values:
        return value
    if isinstance(value, str):
        return hide(value.encode("utf-8", "surrogatepass"), values).decode("utf-8", "surrogatepass")
    if isinstance(value, dict):
        return {hidden(key, values): hidden(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(item, values) for item in value]
    return value


def _from_keyring(name: str) -> str | None:
    try:
        import keyring  # optional, and slow to import
    except ImportError:
        return None
    try:
        found: Any = keyring.get_password(SERVICE, name)
    except Exception as error:  # noqa: BLE001  (every backend has errors of its own)
        _log.debug("no key from the keyring: %s", type(error).__name__)
        return None
    return str(found) if found else None
