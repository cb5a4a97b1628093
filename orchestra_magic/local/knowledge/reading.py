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


class Reader:
    """Reads documents, two at a time: each may take a core, and the memory that one may."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def chunks(self, kind: str, content: bytes) -> list[str]:
        """Return the chunks of a document, read in a process that may fail without harm.

        Raises
        ------
        UnreadableError
            If it cannot be read.
        """
        if kind in readers.TEXTS and len(content) <= _SHORT:
            return split(readers.read(kind, content))
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
