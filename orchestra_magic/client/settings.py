"""Where to send, with which key, and how long to wait: one ladder, read anew at every use.

The address, first found wins:

1. the argument of :class:`~orchestra_magic.client.orchestra.Orchestra`
2. ``%config OrchestraMagics.base_url`` or ``%orchestra_connect`` (pushed down into :data:`chosen`)
3. the environment variable ``ORCHESTRA_BASE_URL``
4. the documented address of the hosted service

On every rung ``local`` stands for the embedded Orchestra, which is started when it does not run.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import OrchestraConfigError
from . import embedded, keys
from .keys import Key

HOSTED = "https://orchestra.arcee.ai/api/v1/workflow"
LOCAL = "local"
API_KEY_ENV = "ORCHESTRA_API_KEY"
BASE_URL_ENV = "ORCHESTRA_BASE_URL"


@dataclass
class Chosen:
    """What this process has chosen: the notebook pushes its traits and its connection in here."""

    base_url: str | None = None
    api_key_env: str = API_KEY_ENV
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    ca_bundle: str | None = None
    proxies: dict[str, str] = field(default_factory=dict)
    allow_insecure: bool = False
    keys: dict[str, Key] = field(default_factory=dict)
    """Keys that were typed in at a prompt, by host: for this process alone."""


chosen = Chosen()


@dataclass(frozen=True)
class Endpoint:
    """One server and everything that is needed to talk to it.

    ``base_url`` has no slash at its end; times are in seconds.
    """

    base_url: str
    key: Key
    embedded: bool = False
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    ca_bundle: str | None = None
    proxies: tuple[tuple[str, str], ...] = ()

    @property
    def host(self) -> str:
        """Host and port."""
        return host_of(self.base_url)

    @property
    def loopback(self) -> bool:
        """Whether the server is on this computer."""
        return is_loopback(self.base_url)


def address(base_url: str | None = None) -> str:
    """Return the address that the ladder gives: a URL without a slash at its end, or ``"local"``."""
    raw = base_url or chosen.base_url or os.environ.get(BASE_URL_ENV) or HOSTED
    return raw if raw == LOCAL else checked_url(raw)


def resolve(base_url: str | None = None, key: Key | None = None, *, revive: bool = True) -> Endpoint:
    """Return the endpoint to use now.

    Parameters
    ----------
    base_url : str, optional
        An address, or ``"local"``; without it the ladder decides.
    key : Key, optional
        A key that was given for this address; without it the ladder of :mod:`keys` decides.
    revive : bool
        Whether to start the embedded Orchestra also where it was stopped on purpose.

    Raises
    ------
    OrchestraConfigError
        If there is no key, or the address is none that a key may be sent to.
    OrchestraConnectionError
        If it is the embedded Orchestra that was stopped on purpose, and is not to be revived.
    """
    where = address(base_url)
    if where == LOCAL:
        server = embedded.find() or start_embedded(revive=revive)
        return _endpoint(server.base_url, Key(server.token), is_embedded=True)
    if key is None:
        host = host_of(where)
        key = chosen.keys.get(host) or keys.find(host, env_name=chosen.api_key_env, env_host=_env_host())
    return _endpoint(where, key)


def start_embedded(*, revive: bool) -> embedded.Server:
    """Start the embedded Orchestra where it does not run. It never sees the key of another server."""
    return embedded.start(without={API_KEY_ENV, chosen.api_key_env}, revive=revive)


def _endpoint(base_url: str, key: Key, *, is_embedded: bool = False) -> Endpoint:
    return Endpoint(
        base_url,
        key,
        is_embedded,
        chosen.connect_timeout,
        chosen.read_timeout,
        chosen.ca_bundle,
        tuple(sorted(chosen.proxies.items())),
    )


def _env_host() -> str:
    """Return the host that the key in the environment belongs to."""
    from_env = os.environ.get(BASE_URL_ENV)
    return host_of(checked_url(from_env)) if from_env and from_env != LOCAL else host_of(HOSTED)


def checked_url(url: str) -> str:
    """Return ``url`` without a slash at its end, or raise if a key must not be sent there."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise OrchestraConfigError(
            f"{url!r} is no address of a server. Give one such as {HOSTED}, or `local` for the embedded Orchestra."
        )
    if parts.username or parts.password:
        raise OrchestraConfigError("The address holds a user name or password. Give it without, and the key apart.")
    if parts.query or parts.fragment:
        raise OrchestraConfigError(f"{url!r} has a query or a fragment. Give the base address alone, such as {HOSTED}.")
    if parts.scheme == "http" and not is_loopback(url) and not chosen.allow_insecure:
        raise OrchestraConfigError(
            f"{url} is plain http, so the key would travel in the clear. Use https, or say "
            "`%config OrchestraMagics.allow_insecure = True` if the network between is your own."
        )
    return url.strip().rstrip("/")


def named(base_url: str) -> str:
    """Return a server as a sentence names it."""
    return "the embedded Orchestra" if base_url == LOCAL else base_url


def host_of(url: str) -> str:
    """Return host and port of a URL in lower case, the port only where it is not the scheme's own."""
    parts = urlsplit(url)
    name = (parts.hostname or "").lower()
    name = f"[{name}]" if ":" in name else name
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    return name if parts.port in {None, standard} else f"{name}:{parts.port}"


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this computer itself."""
    name = (urlsplit(url).hostname or "").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
