"""One exchange on a connection: whether the request left, and how long each part of it may take.

A start must not be sent twice, so it has to be known for certain on which side of the sending a failure
happened, and an exception of requests does not tell. Its read timeout is none for the whole either: it begins
anew with every byte, and a server that drips headers could hold a cell for ever. So the connection notes both.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Exchange:
    """One request and its answer, as they happen.

    Parameters
    ----------
    patience : float
        Seconds that each part may take: sending, the head of the answer, its body.

    Attributes
    ----------
    sent : bool
        Whether a byte of the request may have left.
    answered : bool
        Whether the head of the answer has come.
    """

    def __init__(self, patience: float) -> None:
        self.sent = False
        self.answered = False
        self._patience = patience
        self._end = float("inf")

    def next_part(self) -> None:
        """Begin the time of another part."""
        self._end = time.monotonic() + self._patience

    def left(self) -> float:
        """Return the seconds that this part may still take, or raise TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


_current: ContextVar[Exchange | None] = ContextVar("orchestra_exchange", default=None)


@contextmanager
def exchange(patience: float) -> Iterator[Exchange]:
    """Have what goes over a watched connection noted as one exchange."""
    begun = Exchange(patience)
    token = _current.set(begun)
    try:
        yield begun
    finally:
        _current.reset(token)


def watched(pools: dict[str, Any]) -> dict[str, Any]:
    """Return urllib3's classes of pools by scheme, with connections that note what happens on them."""
    made = {}
    for scheme, pool in pools.items():
        connection = type(pool.ConnectionCls.__name__, (_Watched, pool.ConnectionCls), {})
        made[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": connection})
    return made


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the time of its exchange is over."""

    def __init__(self, raw: Any, sock: Any, noted: Exchange) -> None:
        self._raw, self._sock, self._noted = raw, sock, noted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._noted.left())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read against the clock of its exchange."""

    def __init__(self, sock: Any, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        noted = _current.get()
        if noted is not None:
            noted.next_part()
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_TimedReader(raw, sock, noted))


class _Watched:
    """A connection that tells its exchange when the request leaves."""

    response_class = _Response
    _connecting = False
    sock: Any

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        noted = _current.get()
        if noted is not None and not self._connecting:  # what goes to open a proxy's tunnel is no request yet
            if self.sock is None:
                self.connect()
            if not noted.sent:
                noted.sent = True
                noted.next_part()
            self.sock.settimeout(noted.left())
        super().send(data)  # type: ignore[misc]
