"""Documents are read: text here, the rest in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from ..values import loads
from . import readers
from .readers import UnreadableError


async def read_apart(kind: str, content: bytes) -> str:
    """Return the text of a document, read in a process that may fail without harm.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    """
    if kind not in readers.LIBRARIES:
        return readers.read(kind, content)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        readers.__name__,
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(content), readers.SECONDS)
        said = loads(output)
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
    return str(said["text"])
