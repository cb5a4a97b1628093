"""The folder of a program is removed with all that it left there, however deep, and whatever the modes.

This module is also loaded inside the sandbox, by itself: it needs the standard library alone.
"""

# ruff: noqa: PTH101, PTH104, PTH106, PTH108  (pathlib would double the start-up)

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count


def remove(folder: str) -> None:
    """Remove a folder with all that is in it. What the system does not let go stays."""
    free = (path for number in count() if not os.path.lexists(path := f"{folder}/{number}"))
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        for inner in _empty(place):
            # All come to the top: deeper down a path can be too long, and so can recursion.
            moved = inner if place == folder else next(free)
            with suppress(OSError):
                os.rename(inner, moved)
                waiting.append(moved)
        if place != folder:
            with suppress(OSError):
                os.rmdir(place)
    with suppress(OSError):
        os.rmdir(folder)


def _empty(folder: str) -> list[str]:
    """Remove the files of a folder, and return the folders in it."""
    folders = []
    with suppress(OSError):
        os.chmod(folder, 0o700)
        for entry in list(os.scandir(folder)):
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    # To be moved takes rights as well.
                    os.chmod(entry.path, 0o700)
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
    return folders
