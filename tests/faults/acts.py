"""What a server can do to a connection instead of answering as it should."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from scripted import torn

Act = Callable[[BaseHTTPRequestHandler], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def break_off(handler: BaseHTTPRequestHandler) -> None:
    """Reset the connection after the whole request was read."""
    torn(handler.connection)


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing until the server closes."""
    handler.server.closing.wait()  # type: ignore[attr-defined]


def raw(data: bytes) -> Act:
    """Send these bytes, and close."""
    return lambda handler: handler.connection.sendall(data)


def drip(head: bytes, drop: bytes) -> Act:
    """Send ``head``, and then ``drop`` after ``drop``, each well within a read timeout."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):  # the client has had enough
            handler.connection.sendall(head)
            while not handler.server.closing.wait(0.05):  # type: ignore[attr-defined]
                handler.connection.sendall(drop)

    return act


def bomb(megabytes: int, *, times: int = 1) -> bytes:
    """Return JSON that unpacks to so many megabytes, packed ``times`` over."""
    data = b'{"run_id": "' + b"0" * (megabytes * 1_000_000) + b'"}'
    for _ in range(times):
        data = gzip.compress(data, 1)
    return data
