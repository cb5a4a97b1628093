"""What stands before every route: who may ask at all, and how much they may send."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from .connections import KNOWN, ROOM

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 10_000_000
# A document of 15 MB, when every second byte of it is written as six.
MAX_DOCUMENT_BODY = 48_000_000
_DOCUMENTS = re.compile(r".*/knowledge_bases/[^/]+/documents")
_LOOPBACK = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 64_000_000


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
        """Answer with 421, 401, 503 or 413, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not _LOOPBACK.fullmatch(headers.get(b"host", b"")):
            said = "this server answers on loopback only: ask it as 127.0.0.1 or localhost"
            await _turn_away(scope, receive, send, 421, said)
            return
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            said = "the key is missing or not this server's; it stands in the file that `orchestra-local status` names"
            await _turn_away(scope, receive, send, 401, said, headers=[(b"www-authenticate", b"Bearer")])
            return
        state = scope.setdefault("state", {})
        if ROOM in state and not state[ROOM]():
            said = "too many connections are open to this server, so nothing was done: close some, and ask again"
            await _turn_away(scope, receive, send, 503, said, headers=[(b"retry-after", b"1")])
            return
        state[KNOWN] = True
        if scope["path"] != "/status":  # a monitor that asks for it uses nothing, and would keep the server up for ever
            self._used()
        longest = MAX_DOCUMENT_BODY if _DOCUMENTS.fullmatch(scope["path"]) else MAX_BODY
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > longest:
            await _turn_away(scope, receive, send, 413, _too_large(longest))
            return
        body = _Counted(receive, longest)

        async def answer(message: Message) -> None:
            if not body.too_long:
                await send(message)

        await self._app(scope, body, answer)
        if body.too_long:
            await _turn_away(scope, receive, send, 413, _too_large(longest))


class _Counted:
    """The ``receive`` of a body whose length nobody promised: it ends where that grows too long."""

    def __init__(self, receive: Receive, longest: int) -> None:
        self._receive = receive
        self._left = longest
        self.too_long = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.too_long = True
            raise HTTPException(413)
        return message


def _too_large(longest: int) -> str:
    return f"the body is larger than {longest} bytes"


async def _turn_away(
    scope: MutableMapping[str, Any],
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send an error and close the connection, with a moment for those who read only after they have sent all.

    A connection that is closed while bytes arrive is reset, and the error would be lost with it.
    """
    body = json.dumps({"detail": detail}).encode()
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = [*told, (b"connection", b"close"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if not any(name == b"expect" for name, _ in scope["headers"]):  # who asked first sends nothing now
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_past(receive), _LINGER_SECONDS)
    await send({"type": "http.response.body"})


async def _read_past(receive: Receive) -> None:
    left = _LINGER_BYTES
    more = True
    while more and left > 0:
        message = await receive()
        more = message.get("more_body", False)
        left -= len(message.get("body", b""))
