"""What a program may use, and what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What one program may use: seconds, and bytes."""

    timeout: float = 60.0
    memory: int = 4 << 30
    file_size: int = 256 << 20
    output: int = 1 << 20
    result: int = 32 << 20

    def for_child(self) -> dict[str, int]:
        """Return the limits that the process puts on itself, by the names of ``resource``."""
        return {
            "RLIMIT_CORE": 0,
            "RLIMIT_AS": self.memory,
            "RLIMIT_FSIZE": self.file_size,
            "RLIMIT_CPU": int(self.timeout * (os.cpu_count() or 1)) + 1,
            "RLIMIT_NOFILE": 512,
            "RLIMIT_NPROC": 4096,
        }


class NotIsolatedError(Exception):
    """A program is to run isolated, and this computer cannot. The message says how it could."""


@dataclass
class Execution:
    """What came of a program: ``error`` is its own traceback, ``stopped`` why it was ended from outside."""

    results: Any = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    stopped: str | None = None
    sandbox_id: str = ""
