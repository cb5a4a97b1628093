"""What stands before every route: who may ask at all, and how much they may send."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 10_000_000
# A document of 15 MB, when every second byte of it is written as six.
MAX_DOCUMENT_BODY = 48_000_000
_DOCUMENTS = re.compile(r".*/knowledge_bases/[^/]+/documents")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """Lets through what has a loopback host and the token, and a body that is not too large.

    The host comes first: a page in a browser whose name was pointed at this computer (DNS rebinding) learns
    nothing, not even that a token is wanted.
    """

    def __init__(self, app: App, token: str, used: Callable[[], None]) -> None:
        self._app = app
        self._used = used
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer with 421, 401 or 413, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if _host(headers.get(b"host", b"")) not in _LOOPBACK:
            await refuse(send, 421, "this server answers on loopback only: ask it as 127.0.0.1 or localhost")
            return
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            await refuse(
                send,
                401,
                "the key is missing or not this server's; it stands in the file that `orchestra-local status` names",
                [(b"www-authenticate", b"Bearer")],
            )
            return
        self._used()
        longest = MAX_DOCUMENT_BODY if _DOCUMENTS.fullmatch(scope["path"]) else MAX_BODY
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > longest:
            await refuse(send, 413, _too_large(longest))
            return
        await self._app(scope, _counted(receive, longest), send)


def _counted(receive: Receive, longest: int) -> Receive:
    """Return ``receive`` for a body whose length nobody promised: it ends where that grows too long."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > longest:
            raise HTTPException(413, _too_large(longest))
        return message

    return counted


def _too_large(longest: int) -> str:
    return f"the body is larger than {longest} bytes"


def _host(header: bytes) -> str:
    host = header.decode("latin-1").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def refuse(send: Send, status: int, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send an error as the documented body."""
    body = json.dumps({"detail": detail}).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
