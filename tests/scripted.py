"""A real HTTP server on loopback whose answers a test decides: the far end of HTTP, and nothing nearer."""

from __future__ import annotations

import json
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


class Scripted:
    """A server that answers each route by what the test put there; what came is in ``said``."""

    def __init__(self) -> None:
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

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{BASE}"

    @property
    def posts(self) -> list[Said]:
        return [each for each in self.said if each.method == "POST"]

    def on(self, method: str, path: str, *replies: Any) -> None:
        """Answer a route (its path under the base, without a query) by ``replies`` in turn, the last for ever.

        A reply is a :class:`Reply`, JSON data, or a function of the :class:`Said` that gives one of them.
        """
        self.routes[method, path] = list(replies)

    def close(self) -> None:
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
