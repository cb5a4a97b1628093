"""The disks that databases are timed on: this machine's, memory, and this machine's at the speed of other disks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_MEMORY = Path("/dev/shm")
SYNC_MS = 2.0
"""What an fsync takes on an ordinary SSD; without a cache that outlives a loss of power it is 0.5 to 5 ms."""


@dataclass(frozen=True)
class Disk:
    """A folder, and what processes that write to it are to have in their environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)


def disks(folder: Path) -> dict[str, Disk]:
    """Return the disk of ``folder``, the same with a slower fsync for every process alike, and memory (tmpfs)."""
    found = {"disk": Disk(folder)}
    if slow := slowed(folder):
        found[f"disk of {SYNC_MS:g} ms"] = slow
    if _MEMORY.is_dir():
        found["tmpfs"] = Disk(_MEMORY)
    return found


def slowed(folder: Path) -> Disk | None:
    """Return the disk of ``folder`` with every fsync delayed, or None where that cannot be built (said aloud)."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or not compiler:
        print(f"no disk with an fsync of {SYNC_MS:g} ms: it takes Linux and a C compiler (cc)")
        return None
    library = folder / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return Disk(folder, {"LD_PRELOAD": str(library), "SYNC_MS": str(SYNC_MS)})
