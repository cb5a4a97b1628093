"""The pipes of a program: read as they fill, each up to its limit, until the program has said what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

_CHUNK = 1 << 16


class Capture:
    """Keeps the first ``limit`` bytes of a stream: who writes more is never blocked."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.data = bytearray()
        self.dropped = 0

    def add(self, chunk: bytes) -> None:
        """Take what came next."""
        kept = chunk[: self.limit - len(self.data)]
        self.data += kept
        self.dropped += len(chunk) - len(kept)

    def text(self) -> str:
        """Return it as text, with a note on what was left out."""
        shown = self.data.decode("utf-8", "replace")
        return f"{shown}\n… {self.dropped} bytes more were left out\n" if self.dropped else shown


class Pipes:
    """Standard output, standard error, and the pipe of the result, which ends with the line that comes over it.

    Parameters
    ----------
    descriptors : Sequence[int]
        The ends to read from, in that order. They are closed by :meth:`close`.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._open = list(descriptors)
        self._result = self._open[-1]
        self._captures: dict[int, Capture] = {}

    def read(self, limits: Sequence[int]) -> asyncio.Future[None]:
        """Begin to read. The future is done when the result is whole, or nothing more can come."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._captures = {one: Capture(limit) for one, limit in zip(self._open, limits, strict=True)}
        waiting = set(self._open)

        def ready(descriptor: int) -> None:
            # No task and no transport for each: a program that does nothing takes a millisecond.
            chunk = self._next(descriptor)
            if not chunk:
                loop.remove_reader(descriptor)
                waiting.discard(descriptor)
            if not done.done() and (not waiting or (descriptor == self._result and chunk.endswith(b"\n"))):
                done.set_result(None)

        for descriptor in self._open:
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, ready, descriptor)
        return done

    def take(self) -> list[Capture]:
        """Return what was written until now. A descendant that holds a pipe open is not waited for."""
        loop = asyncio.get_running_loop()
        for descriptor in self._open:
            loop.remove_reader(descriptor)
            capture = self._captures[descriptor]
            # What never ends is left when no more of it is kept.
            with suppress(BlockingIOError):
                while not capture.dropped and self._next(descriptor):
                    pass
        return list(self._captures.values())

    def close(self) -> None:
        """Let go of them."""
        while self._open:
            os.close(self._open.pop())

    def _next(self, descriptor: int) -> bytes:
        chunk = os.read(descriptor, _CHUNK)
        self._captures[descriptor].add(chunk)
        return chunk
