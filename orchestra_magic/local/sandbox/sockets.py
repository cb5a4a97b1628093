"""Sockets of this computer's own services, which lie in its files: Landlock does not hold them, a filter does.

Whoever reaches the socket of a keyring, of an SSH agent or of Docker needs no file to read. The filter is one of
seccomp, a few instructions that the kernel runs at each system call.
This module is also loaded inside the sandbox, by itself: it needs the standard library alone.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# By machine: its number in the kernel, and that of the system call `socket`.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1
_OTHER_NUMBERS = 0x40000000
_IO_URING = 425
_UNIX = 1


def forbid() -> bool:
    """Make it impossible, for good, to open a Unix socket; pairs of connected ones stay. Return whether it is."""
    known = _MACHINES.get(os.uname().machine) if sys.platform == "linux" and sys.byteorder == "little" else None
    if known is None:
        return False
    machine, socket = known
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _OTHER_NUMBERS),
        (_EQUAL, 4, 0, _IO_URING),
        (_EQUAL, 0, 2, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, _UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in program))
    filled = struct.pack("<H6xQ", len(program), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(filled), 0, 0) == 0)
