"""Files that are their owner's alone, and are what they seem: no link leads from them to a file elsewhere.

Whoever could once write into a folder of the server may have left a link there; what follows it would
overwrite, or give away, a file that the server has nothing to do with.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # not on Windows, where links are the administrator's


class LinkError(Exception):
    """A file of the server is a symbolic link. The message says which; nothing was changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is a symbolic link, which is not followed; move it away, and start again")


def open_private(path: Path, flags: int) -> int:
    """Open a file for its owner alone, made where there is none; return its descriptor.

    Parameters
    ----------
    path : Path
        The file.
    flags : int
        As for ``os.open``.

    Raises
    ------
    LinkError
        If it is a symbolic link.
    """
    try:
        file = os.open(path, flags | os.O_CREAT | NO_LINK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LinkError(path) from None
        raise
    if os.name == "posix" and (about := os.fstat(file)).st_uid == os.geteuid() and stat.S_IMODE(about.st_mode) & 0o077:
        os.fchmod(file, 0o600)
    return file


def refuse_links(paths: Iterable[Path]) -> None:
    """See that none of the paths is a link.

    Raises
    ------
    LinkError
        If one is.
    """
    for path in paths:
        if path.is_symlink():
            raise LinkError(path)


def keep_own_bits() -> None:
    """See that this process can use the files that it makes, whatever the umask takes from others."""
    os.umask(os.umask(0o077) & 0o077)


class PrivateLog(RotatingFileHandler):
    """A log whose every file is its owner's alone: Python's own makes each new one for all to read."""

    def _open(self) -> TextIOWrapper:
        file = open_private(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND)
        return os.fdopen(file, "a", encoding=self.encoding, errors=self.errors)
