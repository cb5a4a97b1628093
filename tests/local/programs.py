"""Programs of code nodes, run without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from orchestra_magic.local.sandbox.execution import Limits
from orchestra_magic.local.sandbox.runner import Sandbox


def run(code, values=None, **limits):
    async def once():
        sandbox = Sandbox()
        try:
            return await sandbox.run(code, values or {}, Limits(**limits))
        finally:
            await sandbox.close()

    return asyncio.run(once())


WITHOUT_LANDLOCK = """
import ctypes, os, runpy, struct, sys
machine = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
rules = [(0x20, 0, 0, 4), (0x15, 1, 0, machine), (0x06, 0, 0, 0x7FFF0000), (0x20, 0, 0, 0)]
rules += [(0x15, 0, 1, 444), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in rules))
filled = struct.pack("<H6xQ", len(rules), ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(filled), 0, 0) == 0
"""
"""The beginning of a Python program for which, and for whose children, the kernel has no Landlock."""


def inhabitants(folder):
    """Return the processes that live in a folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if str((one / "cwd").readlink()).startswith(folder) and ") Z " not in (one / "stat").read_text():
                found.append(int(one.name))
        except OSError:
            continue
    return found
