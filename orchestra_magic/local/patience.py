"""What a computer cannot do now and may do later: what was accepted waits for it, and is not lost or failed."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_AGAIN = 2.0
_STOP_TAKES = 1.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
_log = logging.getLogger(__name__)


def is_full(error: BaseException) -> bool:
    """Tell whether a disk refused what it may take later: it is full, or over a quota."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return isinstance(error, sqlite3.OperationalError) and any(
        sign in str(error) for sign in ("disk is full", "disk I/O error", "database is locked")
    )


def may_pass(error: BaseException) -> bool:
    """Tell whether the same may go well later, because somebody frees what is lacking."""
    if isinstance(error, OSError):
        return error.errno in (*_NO_ROOM, *_BUSY)
    # Of SQLite it is all that is no damage: a disk that became read-only is writable again one day.
    return isinstance(error, sqlite3.OperationalError | MemoryError)


async def persistently(do: Callable[[], Awaitable[T]], what: str) -> T:
    """Do it again and again while the computer lacks something: what was done is not lost for want of room.

    Parameters
    ----------
    do : Callable
        What to do.
    what : str
        What the log says is waiting.
    """
    said = False
    while True:
        try:
            return await do()
        except (OSError, sqlite3.Error, MemoryError) as error:
            if not may_pass(error):
                raise
            if not said:
                _log.error("%s waits: %s. It is tried again every few seconds", what, str(error) or "no memory")
                said = True
        await asyncio.sleep(_AGAIN)


async def unless_all_ends(status: int | None) -> None:
    """Wait a moment where a process was ended by SIGTERM, before what it did is called a failure.

    A computer that shuts down tells every process to end. If that is so, this one is told too, the step is left
    as it is, and the next server does it again.
    """
    if status == -signal.SIGTERM:
        await asyncio.sleep(_STOP_TAKES)
