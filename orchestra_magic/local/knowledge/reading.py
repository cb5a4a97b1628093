"""Documents are read: a short text here, the rest in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

from ..models.process import environment
from ..values import loads
from . import readers
from .chunks import split
from .readers import UnreadableError

_SHORT = 1 << 16
_AT_ONCE = 2


class StoppingError(Exception):
    """The server stops, and the document was not read."""


class Reader:
    """Reads documents, two at a time: each may take a core, and the memory that one may."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._readings: set[asyncio.Task[list[str]]] = set()
        self._closed = False

    def close(self) -> None:
        """Stop reading: who waits for a document is told."""
        self._closed = True
        for reading in self._readings:
            reading.cancel()

    async def chunks(self, kind: str, content: bytes) -> list[str]:
        """Return the chunks of a document, read in a process that may fail without harm.

        Raises
        ------
        UnreadableError
            If it cannot be read.
        StoppingError
            If the server stops meanwhile.
        """
        if kind in readers.TEXTS and len(content) <= _SHORT:
            return split(readers.read(kind, content))
        reading = asyncio.create_task(self._read(kind, content))
        self._readings.add(reading)
        try:
            await asyncio.wait({reading})
        finally:
            self._readings.discard(reading)
            reading.cancel()
        if reading.cancelled() and self._closed:
            raise StoppingError
        return reading.result()

    async def _read(self, kind: str, content: bytes) -> list[str]:
        async with self._turns:
            return await _read_apart(kind, content)


async def _read_apart(kind: str, content: bytes) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", readers.__name__, kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(content), readers.SECONDS)
        said: dict[str, Any] = await asyncio.to_thread(loads, output)
    except asyncio.TimeoutError:
        raise UnreadableError(f"reading it took longer than {readers.SECONDS} s") from None
    except ValueError:
        reason = f"exit status {process.returncode}"
        raise UnreadableError(f"it cannot be read: the process that read it died ({reason})") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if "error" in said:
        raise UnreadableError(said["error"])
    return [str(one) for one in said["chunks"]]
