"""API keys: where one is looked for, and to which host it may go.

A key belongs to one host. ``ORCHESTRA_API_KEY`` belongs to the host of ``ORCHESTRA_BASE_URL`` (the hosted
service where that is not set), a key in the keyring to the host it is stored under, and the token of the
embedded server to that server alone. None of them is ever sent elsewhere.
"""

from __future__ import annotations

import html
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from ..errors import OrchestraConfigError

log = logging.getLogger("orchestra_magic")

KEYRING_SERVICE = "orchestra_magic"
MASK = "********"


class Key:
    """An API key that does not show itself: not in a repr, not by ``vars``, not in a pickle.

    Parameters
    ----------
    value : str
        The key as the service gave it.

    Raises
    ------
    OrchestraConfigError
        If it cannot stand in an HTTP header.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise OrchestraConfigError(
                "The API key is empty or has characters that a key cannot have. Copy it once more from the service."
            )
        # Inspectors of variables look into attributes, and not into functions.
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """Return the key itself, for the one header that carries it."""
        return self._reveal()

    def mask(self, text: str) -> str:
        """Return ``text`` with every occurrence of the key replaced by asterisks, however it is quoted there."""
        value = self.reveal()
        # Each letter by a group that is not tried twice: a text could be made for which a search has no end.
        quoted = "".join(
            letter if letter.isalnum() else f"(?=(?P<at{place}>{_written(letter)}))(?P=at{place})"
            for place, letter in enumerate(value)
        )
        return re.sub(f"{re.escape(value)}|{quoted}", MASK, text, flags=re.IGNORECASE)

    def __repr__(self) -> str:
        return f"<API key {MASK}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled; the other side finds its own")


def _written(letter: str) -> str:
    """Return a pattern for how a letter may be written in a URL, in HTML and in JSON, the longest first."""
    number = ord(letter)
    forms = {letter, f"%{number:02x}", html.escape(letter), f"&#{number};", f"&#x{number:x};"}
    forms |= {f"\\{letter}", f"\\u{number:04x}"}
    return "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))


def find(host: str, *, env_name: str, env_host: str) -> Key:
    """Return the key for ``host``, by the ladder of the settings.

    Parameters
    ----------
    host : str
        Host and port that the key is to be sent to.
    env_name : str
        The environment variable that may hold a key.
    env_host : str
        The host that this variable's key belongs to.

    Raises
    ------
    OrchestraConfigError
        If there is none. The message names the ways to give one.
    """
    # 1. the environment, and Colab's secrets under the same name: for their own host alone
    if host == env_host:
        value = os.environ.get(env_name) or _from_colab(env_name)
        if value:
            return Key(value)
    # 2. the system keyring, by host
    value = _from_keyring(host)
    if value:
        return Key(value)
    raise OrchestraConfigError(_no_key(host, env_name, env_host))


def _from_colab(name: str) -> str | None:
    if "google.colab" not in sys.modules:
        return None
    try:
        from google.colab import userdata

        return str(userdata.get(name) or "") or None
    except Exception as error:  # noqa: BLE001  (Colab raises its own kinds for a missing or locked secret)
        log.debug("no key from Colab's secrets: %s", type(error).__name__)
        return None


def _from_keyring(host: str) -> str | None:
    try:
        import keyring  # optional, and slow to import
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(KEYRING_SERVICE, host)
    except Exception as error:  # noqa: BLE001  (every backend has errors of its own)
        log.debug("no key from the keyring: %s", type(error).__name__)
        return None
    return found


def _no_key(host: str, env_name: str, env_host: str) -> str:
    ways = f"store one with `keyring set {KEYRING_SERVICE} {host}`, or give it by `%orchestra_connect`"
    if host == env_host:
        start = f"There is no API key for {host}. Set the environment variable {env_name}, {ways}."
    elif os.environ.get(env_name):
        start = (
            f"There is no API key for {host}: the one in {env_name} is for {env_host} and goes nowhere else. "
            f"{ways[0].upper()}{ways[1:]}."
        )
    else:
        start = f"There is no API key for {host}. {ways[0].upper()}{ways[1:]}."
    return f"{start} Without an account, `%orchestra_connect local` runs workflows on this computer."
