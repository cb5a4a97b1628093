"""Requests of nodes to the outside: one function, each in a thread of its own that can be cut off, with limits."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from .._version import __version__

MAX_ANSWER = 32 << 20
_CHUNK = 1 << 16
_HERE = ("127.0.0.1", "localhost", "::1")
_SLOTS = asyncio.Semaphore(128)


class WebError(Exception):
    """No answer came. The message says why; ``final`` means that it will be the same another time."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A followed POST becomes a GET, and the key would go to a host that it was not given for.
    def redirect_request(self, *_: Any) -> None:
        return None


class _Line:
    """The connection of one request, which can be cut while the thread of the request waits at it."""

    def __init__(self, *, public: bool) -> None:
        self.public = public
        self._lock = threading.Lock()
        self._held: socket.socket | None = None
        self._cut = False

    def connect(self, address: tuple[str, int], timeout: float | None, _source: Any = None) -> socket.socket:
        """Return a socket that is connected to a host and port."""
        host, port = address
        refused: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if self.public:
                _refuse_private(host, str(found[0]))
            made = socket.socket(family, kind, protocol)
            try:
                self._hold(made)
                made.settimeout(timeout)
                # The address that was checked is the one that is connected to: a second look-up could say another.
                made.connect(found)
            except OSError as error:
                made.close()
                refused = error
            else:
                return made
        raise refused

    def cut(self) -> None:
        """End the request, wherever it is. One that is over is not changed by it."""
        with self._lock:
            self._cut = True
            self._release()

    def _hold(self, made: socket.socket) -> None:
        with self._lock:
            if self._cut:
                raise OSError("the request was cut off")
            self._release()
            # One of our own: TLS takes the other into a new socket, and urllib closes it when it likes.
            self._held = made.dup()

    def _release(self) -> None:
        if self._held is not None:
            with contextlib.suppress(OSError), self._held:
                self._held.shutdown(socket.SHUT_RDWR)
            self._held = None


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Connects by a line of ours."""

    def __init__(self, line: _Line) -> None:
        # Not that of HTTPS, which reads all certificates, also where none is needed.
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._line = line

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection(http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection(http.client.HTTPSConnection), request)

    def _connection(self, kind: Callable[..., http.client.HTTPConnection]) -> Any:
        def made(host: str, **options: Any) -> http.client.HTTPConnection:
            connection: Any = kind(host, **options)
            # The one place where tunnels through proxies and TLS get their socket, too.
            connection._create_connection = self._line.connect  # noqa: SLF001
            return connection  # type: ignore[no-any-return]

        return made


def _refuse_private(host: str, address: str) -> None:
    number = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(number, "ipv4_mapped", None) or number
    if not inner.is_global or inner.is_multicast:
        raise WebError(
            f"{host} is {address}, an address of this computer or of a private network; "
            "start the server with ORCHESTRA_HTTP_PRIVATE=1 to allow these",
            final=True,
        )


async def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 60.0,
    max_answer: int = MAX_ANSWER,
    public: bool = False,
) -> Answer:
    """Send one request and return the answer, also if its status is an error.

    Redirects are not followed. Proxies come from the environment, except with ``public``: then the address
    is looked up here, refused if it is not one of the public Internet, and connected to as it was checked.

    Raises
    ------
    WebError
        If no answer came in time, or it is larger than ``max_answer`` bytes.
    """
    try:
        request = urllib.request.Request(_quoted(url), data=body, method=method)  # noqa: S310  (see _send)
    except ValueError:
        raise WebError(f"{url!r} is no address; one begins with http:// or https://", final=True) from None
    request.add_header("User-Agent", f"orchestra_magic/{__version__}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    line = _Line(public=public)
    async with _SLOTS:
        try:
            # The thread keeps the time of each piece alone: a server that sends one now and then would never be late.
            return await asyncio.wait_for(_in_thread(lambda: _send(request, timeout, max_answer, line)), timeout)
        except asyncio.TimeoutError:
            raise WebError(_late(timeout)) from None
        finally:
            line.cut()


def _in_thread(work: Callable[[], Answer]) -> asyncio.Future[Answer]:
    """Do ``work`` in a thread that the end of the process does not wait for, as it does for those of a pool."""
    done: Future[Answer] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001  (whoever waits for it gets it)
            done.set_exception(error)

    threading.Thread(target=run, name="web", daemon=True).start()
    return asyncio.wrap_future(done)


def _quoted(url: str) -> str:
    # As browsers do it: only what cannot stand in an address at all.
    return quote(url.strip(), safe="%/:=&?~#+!$,;'@()*[]")


def _late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"


def _send(request: urllib.request.Request, timeout: float, max_answer: int, line: _Line) -> Answer:
    if request.type not in ("http", "https"):
        raise WebError(f"{request.full_url} is neither http nor https", final=True)
    handlers: list[Any] = [_NoRedirect, _Handler(line)]
    if line.public or urlsplit(request.full_url).hostname in _HERE:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        try:
            with opener.open(request, timeout=timeout) as response:
                return _read(response, response.status, max_answer)
        except urllib.error.HTTPError as error:
            with error:
                return _read(error, error.code, max_answer)
    except (ValueError, http.client.InvalidURL) as error:
        # What Python says of a header repeats it, and it may be a key.
        of_address = isinstance(error, http.client.InvalidURL) or "idna" in str(error)
        said = (
            f"the address cannot be used: {error}"
            if of_address
            else "a header holds what none can: a line break, or a character beyond Latin-1"
        )
        raise WebError(said, final=True) from None
    except (TimeoutError, OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            reason = _late(timeout)
        raise WebError(str(reason) or type(error).__name__) from None


def _read(response: Any, status: int, max_answer: int) -> Answer:
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > max_answer:
            raise WebError(f"the answer is larger than {max_answer} bytes", final=True)
    if getattr(response, "length", None):
        raise WebError("the answer broke off before its end")
    return Answer(status, {name.lower(): value for name, value in response.headers.items()}, bytes(body))
