"""A proxy that passes requests on to a real server, and does as it is told with an answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from scripted import BASE, torn

HOW = ["passed on", "cut after", "cut before", "502 after", "502 before", "half after", "page after"]
"""What can become of a start: whether the server gets it, and what the client hears."""


class Proxy:
    """Stands before the server at ``target``; ``how`` says what becomes of the next starts."""

    def __init__(self, target: str) -> None:
        self.how = HOW[0]
        self.posts: list[str] = []
        owner, upstream = self, requests.Session()
        upstream.trust_env = False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                how = HOW[0]
                if self.command == "POST":
                    owner.posts.append(self.headers["Idempotency-Key"])
                    how = owner.how
                if how.endswith("before"):
                    return owner.spoil(self, how, b"")
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                path = self.path.removeprefix(BASE)
                answer = upstream.request(self.command, target + path, data=body, headers=headers, timeout=60)
                if how != HOW[0]:
                    return owner.spoil(self, how, answer.content)
                self.send_response_only(answer.status_code)
                for name in ("Content-Type", "Date", "ETag"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                return owner.send(self, answer.content)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{BASE}"

    def send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def spoil(self, handler: BaseHTTPRequestHandler, how: str, answer: bytes) -> None:
        """Give the client something else than the answer."""
        handler.close_connection = True
        if how.startswith("cut"):
            torn(handler.connection)
            return
        handler.send_response_only(502 if how.startswith("502") else 200)
        page = b"<html><title>Bad Gateway</title></html>"
        self.send(handler, answer[: len(answer) // 2] if how.startswith("half") else page)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
