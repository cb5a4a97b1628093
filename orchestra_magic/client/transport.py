"""The sender: the only module that imports requests.

What it guarantees: the key goes to its own server alone, no proxy stands between us and this computer, a
redirect is never followed by a POST and never to another host, a start is never sent twice, and no answer
is larger or slower than we bear.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import platform
import ssl
import threading
import time
import zlib
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from .._version import __version__
from ..errors import OrchestraConfigError, OrchestraConnectionError, OrchestraError
from . import settings, wire
from .answers import Answer, AnswerLostError, Raw, read, refusal
from .api import Request
from .keys import Key
from .settings import Endpoint

log = logging.getLogger("orchestra_magic")

USER_AGENT = f"orchestra-magic/{__version__} python/{platform.python_version()} requests/{requests.__version__}"
MAX_BYTES = 200_000_000
"""Workflow lists carry whole graphs, and outputs whole tables; past this an answer is no answer."""
MAX_REDIRECTS = 5
IDLE_SECONDS = 2.0
"""A connection idle for longer may be closed at the other end, and a start must not be lost to that."""


class _NotReachedError(Exception):
    """The request cannot have arrived: refused, no such name, no trust."""


class _BrokenError(AnswerLostError):
    """The connection broke after the request had left."""


class _Bearer(AuthBase):
    """The key as a header. As an auth object, so that requests never lets ``.netrc`` replace it."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return request


class _Lines(threading.local):
    """Sessions for starts, one per thread and server: each holds one connection whose age is known."""

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[requests.Session, float]] = {}


_shared: dict[str, requests.Session] = {}
_shared_lock = threading.Lock()
_starts = _Lines()


def send(request: Request, endpoint: Endpoint) -> Answer:
    """Send ``request`` once and return the answer.

    Raises
    ------
    AnswerLostError
        If the request starts a run and it is not known whether it did.
    OrchestraConnectionError
        If the server was not reached; nothing was started.
    OrchestraAuthError, NotFound, ServerError
        What the server answered.
    """
    try:
        return _answer(request, endpoint)
    except _NotReachedError as error:
        failure: BaseException = OrchestraConnectionError(str(error))
    except AnswerLostError as error:
        failure = error if request.starts_a_run else OrchestraConnectionError(f"{error} Try again.")
    except OrchestraError as error:
        failure = error
    except KeyboardInterrupt:
        failure = KeyboardInterrupt()
    # Raised out here and without its way: the frames and exceptions of requests hold the header with the key,
    # and a traceback with variables would show it.
    raise failure.with_traceback(None)


def _answer(request: Request, endpoint: Endpoint) -> Answer:
    """Send, and where the embedded server refused and so got nothing, start it anew and send there."""
    refused: Exception
    try:
        return read(_follow(request, endpoint), request, endpoint)
    except _NotReachedError as error:
        if not endpoint.embedded:
            raise
        refused = error
    settings.start_embedded(revive=not request.follows)
    fresh = settings.resolve(settings.LOCAL, revive=not request.follows)
    try:
        return read(_follow(request, fresh), request, fresh)
    except _NotReachedError:
        raise refused from None


def _follow(request: Request, endpoint: Endpoint) -> Raw:
    """Send, and follow redirects of a GET as long as they stay on the server."""
    url = endpoint.base_url + request.path
    for _ in range(MAX_REDIRECTS):
        raw = _exchange(request, endpoint, url)
        if not 300 <= raw.status < 400 or raw.status == 304:
            return raw
        target = _redirected(url, raw)
        if request.method != "GET" or target is None:
            break
        url = target
    raise refusal(raw, request, endpoint)


def _redirected(url: str, raw: Raw) -> str | None:
    """Return where a redirect leads, None where that is another server or nowhere."""
    try:
        target = urljoin(url, raw.headers.get("location", ""))
        stays = (settings.host_of(target), urlsplit(target).scheme) == (settings.host_of(url), urlsplit(url).scheme)
    except ValueError:  # it is no address
        return None
    return target if stays and target != url else None


def _exchange(request: Request, endpoint: Endpoint, url: str) -> Raw:
    """Send one HTTP request and read its answer whole; a GET once more if its connection broke."""
    try:
        return _once(request, endpoint, url)
    except _BrokenError:  # idle connections are closed at the other end
        if request.method != "GET":
            raise
    return _once(request, endpoint, url)


def _once(request: Request, endpoint: Endpoint, url: str) -> Raw:
    """Send one HTTP request once."""
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Cache-Control": "no-cache",  # the state of a run that a proxy has kept is none
        **request.headers,
    }
    payload = request.payload
    if payload is not None:
        headers["Content-Type"] = "application/json"
    plain = requests.Request(request.method, url, headers=headers, data=payload, auth=_Bearer(endpoint.key))
    patience = endpoint.read_timeout + request.patience
    with wire.exchange(patience) as exchange:
        try:
            with _Lent(request, endpoint) as session:
                proxies = {} if endpoint.loopback else dict(endpoint.proxies)
                ours = session.merge_environment_settings(url, proxies, True, endpoint.ca_bundle, None)
                timeout = (endpoint.connect_timeout, patience)
                with session.send(plain.prepare(), allow_redirects=False, timeout=timeout, **ours) as response:
                    exchange.answered = True
                    exchange.next_part()
                    body = _body(response)
                    names = {name.lower(): value for name, value in response.headers.items()}
                    return Raw(response.status_code, names, body)
        except _FAILURES as error:
            failure = _failure(error, endpoint, exchange, patience)
    raise failure


class _Lent:
    """Lend the session to use, and note when its connection was last used."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._starts = request.starts_a_run
        self._server = endpoint.base_url
        self._loopback = endpoint.loopback

    def __enter__(self) -> requests.Session:
        if not self._starts:
            with _shared_lock:
                if self._server not in _shared:
                    _shared[self._server] = _new_session(self._loopback)
                return _shared[self._server]
        session, used = _starts.sessions.pop(self._server, (None, 0.0))
        if session is None or time.monotonic() - used > IDLE_SECONDS:
            if session is not None:
                session.close()
            session = _new_session(self._loopback)
        self._own = session
        return session

    def __exit__(self, kind: object, *_: object) -> None:
        if self._starts and kind is None:
            _starts.sessions[self._server] = (self._own, time.monotonic())


class _Adapter(HTTPAdapter):
    """Connections that note whether a request left. Nothing is repeated here."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = wire.watched(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **named)
        if not known:
            manager.pool_classes_by_scheme = wire.watched(manager.pool_classes_by_scheme)
        return manager


class _Session(requests.Session):
    """A session that leaves redirects alone: requests reads their bodies whole, and prepares what is next."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def _new_session(loopback: bool) -> requests.Session:
    session = _Session()
    # Proxies of the environment have no business between us and this computer.
    session.trust_env = not loopback
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the key is all that says who we are
    adapter = _Adapter(pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _body(response: requests.Response) -> bytes:
    """Read a body in pieces: a swollen one ends here, and not in memory.

    It is unpacked here too: older versions of urllib3 unpack a whole piece at once, and packing upon packing.
    """
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing not in {"", "identity", "gzip", "x-gzip"}:
        raise AnswerLostError("The answer is packed in a way that was not asked for.")
    stream = gzip.GzipFile(fileobj=response.raw) if "gzip" in packing else response.raw
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(1 << 16):
        size += len(piece)
        if size > MAX_BYTES:
            raise AnswerLostError(f"The answer is larger than {MAX_BYTES / 1e6:g} MB.")
        pieces.append(piece)
    return b"".join(pieces)


_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    EOFError,
    zlib.error,
)
"""What may come of sending and reading, on every version of what is below."""


def _failure(error: Exception, endpoint: Endpoint, exchange: wire.Exchange, patience: float) -> Exception:
    """Return our own exception for one of requests: whether the request left decides."""
    host = endpoint.host
    if not exchange.sent:
        return _not_sent(error, endpoint)
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        what = f"The answer of {host} did not end" if exchange.answered else f"{host} did not answer"
        return AnswerLostError(f"{what} within {patience:g} s.")
    if isinstance(error, gzip.BadGzipFile | zlib.error | EOFError):
        return AnswerLostError(f"The answer of {host} cannot be unpacked.")
    return _BrokenError(f"The connection to {host} broke before the answer came.")


def _not_sent(error: Exception, endpoint: Endpoint) -> Exception:
    """Return the exception for a request of which nothing left."""
    host = endpoint.host
    cause = _root(error)
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return _NotReachedError(
            f"{host} did not answer within {endpoint.connect_timeout:g} s. Check the address and the network."
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return _NotReachedError(f"The proxy on the way to {host} did not let us through. Check the proxy settings.")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _NotReachedError(
            f"The certificate of {host} is not trusted: {cause.verify_message}. "
            "If it is your own, give its CA by `%config OrchestraMagics.ca_bundle = 'path'`."
        )
    if isinstance(error, requests.exceptions.SSLError):
        return _NotReachedError(f"{host} does not speak TLS with us. Check whether its address begins with https.")
    if isinstance(error, requests.ConnectionError):
        return _NotReachedError(_not_reached(host, cause, endpoint))
    if isinstance(error, OSError) and not isinstance(error, ValueError):  # a CA bundle that is not there
        return OrchestraConfigError(f"The connection to {host} cannot be made: {error}")
    return OrchestraConfigError(f"The address {endpoint.base_url} cannot be used: {type(error).__name__}.")


def _not_reached(host: str, cause: BaseException, endpoint: Endpoint) -> str:
    if "resol" in type(cause).__name__.lower() or "resolve" in str(cause):
        return f"There is no server named {host}. Check the address (`%orchestra_connect` shows it) and the network."
    refused = isinstance(cause, ConnectionRefusedError) or "refused" in str(cause)
    what = f"{host} refused the connection." if refused else f"{host} was not reached."
    hint = " It seems not to run: `%orchestra_connect local` starts the embedded one." if endpoint.loopback else ""
    return f"{what}{hint} Check the address (`%orchestra_connect` shows it)."


def _root(error: BaseException) -> BaseException:
    """Return the innermost cause that requests and urllib3 wrapped."""
    seen = error
    for _ in range(10):
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
        if isinstance(seen, urllib3.exceptions.NewConnectionError):
            break
    return seen
