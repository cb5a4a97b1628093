"""What root may do beyond its own files. A program needs none of it, and with it could make the disk a file of its own.

This module is loaded inside the sandbox, by itself: it needs the standard library alone.
https://man7.org/linux/man-pages/man7/capabilities.7.html
"""

from __future__ import annotations

import ctypes
import struct
import sys

_NO_NEW_PRIVILEGES = 38
_VERSION = 0x20080522


def drop() -> None:
    """Give them all up, for good, and for whatever is executed."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        libc.capset(struct.pack("<Ii", _VERSION, 0), bytes(24))
