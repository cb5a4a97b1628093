"""Requests of nodes to the outside: one function, in threads of its own, with limits."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from .._version import __version__

MAX_ANSWER = 32 << 20
_CHUNK = 1 << 16
_GRACE = 5.0
_HERE = ("127.0.0.1", "localhost", "::1")
_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="web")


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


class _PublicConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = _connect_public(self.host, self.port, self.timeout)


class _PublicTLSConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        plain_socket = _connect_public(self.host, self.port, self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain_socket, server_hostname=self.host)


class _PublicHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicConnection, request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicTLSConnection, request)


def _connect_public(host: str, port: int, timeout: float | None) -> socket.socket:
    # The address that was checked is the one that is connected to: a second look-up could say another.
    refused: OSError = OSError(f"{host} has no address")
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        number = ipaddress.ip_address(str(address[0]).partition("%")[0])
        inner = getattr(number, "ipv4_mapped", None) or number
        if not inner.is_global or inner.is_multicast:
            raise WebError(
                f"{host} is {address[0]}, an address of this computer or of a private network; "
                "start the server with ORCHESTRA_HTTP_PRIVATE=1 to allow these",
                final=True,
            )
        try:
            return socket.create_connection((str(address[0]), port), timeout)
        except OSError as error:
            refused = error
    raise refused


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
    loop = asyncio.get_running_loop()
    sending = loop.run_in_executor(_THREADS, _send, request, timeout, max_answer, public)
    try:
        # The thread keeps the time too, but for a server that says its headers byte by byte.
        return await asyncio.wait_for(sending, timeout + _GRACE)
    except asyncio.TimeoutError:
        raise WebError(_late(timeout)) from None


def _quoted(url: str) -> str:
    # As browsers do it: only what cannot stand in an address at all.
    return quote(url.strip(), safe="%/:=&?~#+!$,;'@()*[]")


def _late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"


def _send(request: urllib.request.Request, timeout: float, max_answer: int, public: bool) -> Answer:
    if request.type not in ("http", "https"):
        raise WebError(f"{request.full_url} is neither http nor https", final=True)
    handlers: list[Any] = [_NoRedirect]
    if public:
        handlers.append(_PublicHandler)
    if public or urlsplit(request.full_url).hostname in _HERE:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    deadline = time.monotonic() + timeout
    try:
        try:
            with opener.open(request, timeout=timeout) as response:
                return _read(response, response.status, max_answer, deadline)
        except urllib.error.HTTPError as error:
            with error:
                return _read(error, error.code, max_answer, deadline)
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


def _read(response: Any, status: int, max_answer: int, deadline: float) -> Answer:
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > max_answer:
            raise WebError(f"the answer is larger than {max_answer} bytes")
        # The socket's own limit is for each piece: who sends one now and then would never be late.
        if time.monotonic() > deadline:
            raise TimeoutError
    if getattr(response, "length", None):
        raise WebError("the answer broke off before its end")
    return Answer(status, {name.lower(): value for name, value in response.headers.items()}, bytes(body))
