"""Landlock, the Linux kernel's way for a process to give up access, by system calls alone.

This module is also loaded inside the sandbox, by itself: it needs the standard library alone.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1, 2, 4, 8
_REMOVE_FILE, _MAKE_FILE = 1 << 5, 1 << 8
_MAKE_DEVICE = 1 << 6 | 1 << 11
_FILES = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_TCP, _TCP_ABI = 3, 4
_SIGNALS, _SCOPES, _SCOPES_ABI = 2, 3, 6
_PATH_BENEATH = 1


def version() -> int:
    """Return the version of Landlock that this kernel has, 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def restrict(readable: Iterable[str], writable: Iterable[str], *, network: bool, shared: Iterable[str] = ()) -> bool:
    """Give up, for good, every file but those beneath some folders, and signals to processes outside.

    Parameters
    ----------
    readable, writable : Iterable[str]
        Files and folders; those that do not exist are left out.
    network : bool
        Whether TCP stays allowed.
    shared : Iterable[str]
        Folders in which files can be made, used and removed by their names, and none can be listed.

    Returns
    -------
    bool
        Whether the kernel did it. One that cannot, or not all of it, does what it can.
    """
    abi = version()
    if not abi:
        return False
    libc = _libc()
    handled = _FILES
    handled |= sum(right for right, since in ((_REFER, 2), (_TRUNCATE, 3), (_IOCTL, 5)) if abi >= since)
    tcp = _TCP if abi >= _TCP_ABI and not network else 0
    scopes = _SCOPES if abi >= _SCOPES_ABI else 0
    size = 8 * (1 if abi < _TCP_ABI else 2 if abi < _SCOPES_ABI else 3)
    attributes = ctypes.create_string_buffer(struct.pack("<QQQ", handled, tcp, scopes)[:size], size)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return False
    try:
        for path in readable:
            _allow(libc, rules, path, _EXECUTE | _READ_FILE | _READ_FOLDER)
        for path in writable:
            _allow(libc, rules, path, handled & ~_MAKE_DEVICE)
        for path in shared:
            _allow(libc, rules, path, handled & (_WRITE_FILE | _READ_FILE | _MAKE_FILE | _REMOVE_FILE | _TRUNCATE))
        return _hold(libc, rules)
    finally:
        os.close(rules)


def restrict_signals() -> bool:
    """Give up, for good, signals to processes other than descendants. Return whether the kernel did it."""
    if version() < _SCOPES_ABI:
        return False
    libc = _libc()
    attributes = struct.pack("<QQQ", 0, 0, _SIGNALS)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if rules < 0:
        return False
    held = _hold(libc, rules)
    os.close(rules)
    return held


def _hold(libc: ctypes.CDLL, rules: int) -> bool:
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return bool(libc.syscall(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0)) == 0)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112  (pathlib would double the start-up)
        rights &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
    rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, opened), 12)
    libc.syscall(_ADD, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
