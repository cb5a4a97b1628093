"""The connections of the server: how many may be open, and how long a request may take to arrive.

Every program on this computer, and every page in its browser, can open connections to a port on loopback.
Those that hold theirs open and say nothing must cost those with the token nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0
"""How long a request's first line and headers may take."""
BODY_SECONDS = 60.0
"""How long its body may take."""
ACCEPTED_AT_ONCE = 16
"""Connections that are taken between two looks at how many there are."""
KNOWN = "known"
"""The member of a request's state by which the guard says that the token was right."""
ROOM = "room"
"""The member by which the guard asks whether one more that shows the token may stay."""
_MOST = 1000
_ARRIVING = (h11.IDLE, h11.SEND_BODY)


def most_open() -> int:
    """Return how many connections may be open: files, databases and code nodes need descriptors too."""
    if sys.platform == "win32":
        return _MOST
    import resource  # not on Windows

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if allowed == resource.RLIM_INFINITY else max(16, min(_MOST, allowed // 2))


class Connection(H11Protocol):
    """One connection. It is dropped if a request does not arrive in time, or to make room for a newer one.

    Only those that never showed the token make room: a program that has it can lose nothing to one that has not.
    Where too many have shown it, one more is told so.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and expect a request."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, ROOM: self._has_room}
        self._since = time.monotonic()
        self._known = False
        self._in_body = False
        self._deadline: asyncio.TimerHandle | None = None
        self._expect(HEAD_SECONDS)
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether the request is whole."""
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and not self._in_body:
            self._expect(BODY_SECONDS)
        elif self.conn.their_state is h11.IDLE and self._deadline is None:
            self._expect(HEAD_SECONDS)
        elif self.conn.their_state not in _ARRIVING:
            self._cancel()
        self._in_body = self.conn.their_state is h11.SEND_BODY

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Remember who had the token."""
        self._known = self.known
        super().on_response_complete()

    @property
    def known(self) -> bool:
        """Whether the token was shown on this connection."""
        return self._known or bool(self.scope and self.scope["state"].get(KNOWN))

    def _make_room(self) -> None:
        opened = self._opened()
        strangers = [each for each in opened if each is not self and not each.known]
        # Some may be strangers however many are known: who has the token is one until it is read.
        if strangers and len(opened) > most_open() + most_open() // 8:
            min(strangers, key=lambda each: each._since)._drop()  # noqa: SLF001  (of this class)

    def _has_room(self) -> bool:
        return self.known or sum(each.known for each in self._opened()) < most_open()

    def _opened(self) -> list[Any]:
        return [each for each in self.connections if not each.transport.is_closing()]

    def _expect(self, seconds: float) -> None:
        self._cancel()
        self._deadline = self.loop.call_later(seconds, self._drop)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _drop(self) -> None:
        self.transport.abort()
