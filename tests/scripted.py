"""A real HTTP server on loopback whose answers a test decides: the far end of HTTP, and nothing nearer."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BASE = "/api/v1/workflow"


@dataclass
class Said:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """One answer: ``body`` as bytes, or ``data`` as JSON. ``act`` does something else with the socket."""

    status: int = 200
    data: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.cut: bytes | None = None
        self.closing = threading.Event()

    def verify_request(self, request: Any, _: Any) -> bool:
        """Tear down a connection whose request begins with ``cut``, before a byte of it is read."""
        if self.cut is None or request.recv(len(self.cut), socket.MSG_PEEK) != self.cut:
            return True
        torn(request)
        return False

    def handle_error(self, *_: Any) -> None:
        """A client that went away is none of our business."""


class Scripted:
    """A server that answers each route by what the test put there; what came is in ``said``.

    With ``tls`` it speaks TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.said: list[Said] = []
        self.routes: dict[tuple[str, str], Any] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two would wait for each other's acknowledgement

            def do_GET(self) -> None:
                owner._answer(self)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(Handler)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}{BASE}"

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def posts(self) -> list[Said]:
        return [each for each in self.said if each.method == "POST"]

    def on(self, method: str, path: str, *replies: Any) -> None:
        """Answer a route (its path under the base, without a query) by ``replies`` in turn, the last for ever.

        A reply is a :class:`Reply`, JSON data, or a function of the :class:`Said` that gives one of them.
        """
        self.routes[method, path] = list(replies)

    def cut(self, method: str) -> None:
        """Tear down the connections of requests with this method before a byte of them is read."""
        self._server.cut = method.encode() + b" "

    def close(self) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        said = Said(handler.command, handler.path.removeprefix(BASE), dict(handler.headers), handler.rfile.read(length))
        self.said.append(said)
        replies = self.routes.get((said.method, said.path.split("?")[0]))
        if not replies:
            reply: Any = Reply(404, {"detail": f"no route {said.method} {said.path}"})
        else:
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            reply = reply(said)
        if not isinstance(reply, Reply):
            reply = Reply(data=reply)
        if reply.act is not None:
            reply.act(handler)
            handler.close_connection = True
            return
        body = json.dumps(reply.data).encode() if reply.body is None else reply.body
        handler.send_response_only(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Date": handler.date_time_string(),
            **reply.headers,
        }.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.connection.close()


def torn(connection: socket.socket) -> None:
    """Reset the connection itself: not an end, but a break."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket(fileno=connection.detach()).close()
