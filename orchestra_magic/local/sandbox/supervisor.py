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
from types import FrameType

import child  # type: ignore[import-not-found]  # stands beside this file, not in a package

_DEATH_SIGNAL, _SUBREAPER = 1, 36
_ROUNDS = 1000


def main(result: int) -> None:
    """Fork; run the program in the child, and see it and all its descendants to their end."""
    if sys.platform != "linux":
        child.main(result)
        return
    parent = os.getppid()
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        _end_all()
        _remove_folder()
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
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_all()
    _remove_folder()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))


def _remove_folder() -> None:
    """Leave no folder behind, also where the server that made it was killed."""
    folder = os.getcwd()  # noqa: PTH109  (pathlib would double the start-up)
    try:
        os.rmdir(folder)  # noqa: PTH106
    except OSError:
        import shutil  # only a program that left something makes this wait for it

        shutil.rmtree(folder, ignore_errors=True)


def _end_all() -> None:
    """Kill every child, and again: the children of what was killed become ours."""
    own = os.getpid()
    for _ in range(_ROUNDS):
        try:
            with open(f"/proc/{own}/task/{own}/children") as file:  # noqa: PTH123
                children = [int(one) for one in file.read().split()]
        except OSError:
            return
        for one in children:
            os.kill(one, signal.SIGKILL)
        try:
            while os.waitpid(-1, 0 if children else os.WNOHANG)[0]:
                children = []
        except ChildProcessError:
            return
