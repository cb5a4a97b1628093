"""The parent of a program inside the sandbox: when that ends, so do all its descendants, wherever they hid.

Started by :mod:`.runner` as the process that waits ahead. A daemon that left its group and its session still
comes back to the nearest subreaper, which is this process; and when the server dies, however that happens,
the kernel tells this process. Systems other than Linux have no such thing: there, only the group is ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

import child  # type: ignore[import-not-found]  # these stand beside this file, not in a package
import landlock  # type: ignore[import-not-found]
import removal  # type: ignore[import-not-found]

_DEATH_SIGNAL, _SUBREAPER = 1, 36
_PAUSE = 0.001


def main(result: int) -> None:
    """Fork; run the program in the child, and see it and all its descendants to their end."""
    if sys.platform != "linux":
        child.main(result)
        return
    parent = os.getppid()
    folder = os.getcwd()  # noqa: PTH109  (pathlib would double the start-up)
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    apart = landlock.restrict_signals() and not _can_signal(parent)

    def tidy() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_all(apart=apart)
        removal.remove(folder)

    def end(number: int, _frame: FrameType | None) -> None:
        tidy()
        # Whoever waits for this process is to see what ended it.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    libc.prctl(_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        child.main(result)
    # What reads the pipes is to see their end when the program lets go of them.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2, result):
        os.dup2(nowhere, descriptor)
    status = 0
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            break
    tidy()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))


def _can_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


def _end_all(*, apart: bool) -> None:
    """Kill every descendant, and return when none is left.

    Parameters
    ----------
    apart : bool
        Whether this process can signal its descendants alone. Then one call kills them all, and none can fork
        meanwhile.
    """
    with suppress(ChildProcessError):
        while True:
            for one in [-1] if apart else _stop(os.getpid()):
                with suppress(OSError):
                    os.kill(one, signal.SIGKILL)
            while os.waitpid(-1, 0 if apart else os.WNOHANG)[0]:
                pass
            time.sleep(_PAUSE)


def _stop(pid: int) -> set[int]:
    """Stop the descendants of a process, and return them: one that is killed makes room for another to fork."""
    stopped: set[int] = set()
    while True:
        before = len(stopped)
        waiting = [pid]
        while waiting:
            children = _children(waiting.pop())
            for one in children - stopped:
                with suppress(OSError):
                    os.kill(one, signal.SIGSTOP)
            stopped |= children
            waiting += children
        if len(stopped) == before:
            return stopped


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{task}/children") as file:  # noqa: PTH123
                found.update(int(one) for one in file.read().split())
    return found
