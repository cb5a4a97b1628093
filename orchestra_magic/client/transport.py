"""The sender: the only module that imports requests.

What it guarantees: the key goes to its own server alone, no proxy stands between us and this computer, a
redirect is never followed by a POST and never to another host, a start is never sent twice, and no answer
is larger or slower than we bear.
"""

from __future__ import annotations

import logging
import platform
import ssl
import threading
import time
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError
from urllib3.util.retry import Retry

from .._version import __version__
from ..errors import OrchestraConfigError, OrchestraConnectionError, OrchestraError
from . import settings
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
        raw = _follow(request, endpoint)
    except _NotReachedError as error:
        failure: Exception = OrchestraConnectionError(str(error))
        if endpoint.embedded:
            return _send_to_restarted(request, failure)
    except AnswerLostError as error:
        failure = error if request.starts_a_run else OrchestraConnectionError(f"{error} Try again.")
    except OrchestraError as error:
        failure = error
    else:
        return read(raw, request, endpoint)
    # Raised out here, so that no exception of requests, which holds the header with the key, rides along.
    raise failure


def _send_to_restarted(request: Request, failure: Exception) -> Answer:
    """Start the embedded server anew, since it was refused and so got nothing, and send there."""
    settings.start_embedded()
    fresh = settings.resolve(settings.LOCAL)
    try:
        raw = _follow(request, fresh)
    except _NotReachedError:
        raise failure from None
    return read(raw, request, fresh)


def _follow(request: Request, endpoint: Endpoint) -> Raw:
    """Send, and follow redirects of a GET as long as they stay on the server."""
    url = endpoint.base_url + request.path
    for _ in range(MAX_REDIRECTS):
        raw = _exchange(request, endpoint, url)
        if not 300 <= raw.status < 400 or raw.status == 304:
            return raw
        target = urljoin(url, raw.headers.get("location", ""))
        leaves = settings.host_of(target) != endpoint.host or target.split(":")[0] != url.split(":")[0]
        if request.method != "GET" or leaves or target == url:
            break
        url = target
    raise refusal(raw, request, endpoint)


def _exchange(request: Request, endpoint: Endpoint, url: str) -> Raw:
    """Send one HTTP request and read its answer whole."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **request.headers}
    payload = request.payload
    if payload is not None:
        headers["Content-Type"] = "application/json"
    plain = requests.Request(request.method, url, headers=headers, data=payload, auth=_Bearer(endpoint.key))
    patience = endpoint.read_timeout + request.patience
    try:
        with _session(request, endpoint) as session:
            proxies = {} if endpoint.loopback else dict(endpoint.proxies)
            ours = session.merge_environment_settings(url, proxies, True, endpoint.ca_bundle, None)
            timeout = (endpoint.connect_timeout, patience)
            with session.send(plain.prepare(), allow_redirects=False, timeout=timeout, **ours) as response:
                body = _body(response, deadline=time.monotonic() + patience)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Raw(response.status_code, names, body)
    except requests.RequestException as error:
        raise _failure(error, endpoint) from None
    except OSError as error:  # a CA bundle that is not there
        raise OrchestraConfigError(f"The connection to {endpoint.host} cannot be made: {error}") from None


class _session:  # noqa: N801  (used as a function: `with _session(...)`)
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


def _new_session(loopback: bool) -> requests.Session:
    session = requests.Session()
    # Proxies of the environment have no business between us and this computer.
    session.trust_env = not loopback
    # A GET is repeated once when the connection broke: idle connections are closed at the other end.
    again = Retry(
        total=1,
        connect=0,
        read=1,
        status=0,
        redirect=0,
        other=0,
        allowed_methods={"GET"},
        raise_on_redirect=False,
    )
    adapter = HTTPAdapter(max_retries=again, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _body(response: requests.Response, deadline: float) -> bytes:
    """Read a body in pieces: a slow or swollen one ends here, and not in memory."""
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_content(1 << 16):
        size += len(piece)
        if size > MAX_BYTES:
            raise AnswerLostError(f"The answer is larger than {MAX_BYTES // 1_000_000} MB.")
        if time.monotonic() > deadline:
            raise AnswerLostError("The answer did not end in time.")
        pieces.append(piece)
    return b"".join(pieces)


def _failure(error: requests.RequestException, endpoint: Endpoint) -> Exception:
    """Return our own exception for one of requests: did the request arrive or not."""
    host = endpoint.host
    cause = _root(error)
    if isinstance(
        error,
        requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader | requests.exceptions.InvalidProxyURL,
    ):
        return OrchestraConfigError(f"The address {endpoint.base_url} cannot be used: {type(error).__name__}.")
    if isinstance(error, requests.ConnectTimeout):
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
    if isinstance(cause, NewConnectionError | ConnectionRefusedError):
        return _NotReachedError(_not_reached(host, cause, endpoint))
    if isinstance(error, requests.Timeout):
        return AnswerLostError(f"{host} did not answer within {endpoint.read_timeout:g} s.")
    return AnswerLostError(f"The connection to {host} broke before the answer came.")


def _not_reached(host: str, cause: BaseException, endpoint: Endpoint) -> str:
    if "resol" in type(cause).__name__.lower() or "resolve" in str(cause):
        return f"There is no server named {host}. Check the address (`%orchestra_connect` shows it) and the network."
    hint = " It seems not to run: `%orchestra_connect local` starts the embedded one." if endpoint.loopback else ""
    return f"{host} refused the connection.{hint} Check the address (`%orchestra_connect` shows it)."


def _root(error: BaseException) -> BaseException:
    """Return the innermost cause that requests and urllib3 wrapped."""
    seen = error
    for _ in range(10):
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
        if isinstance(seen, NewConnectionError):
            break
    return seen
