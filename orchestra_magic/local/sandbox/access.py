"""What a program may see of this computer: Python and its packages, a folder of its own, and what is allowed.

Where the kernel has Landlock it holds this; elsewhere a program sees what the server sees. The modes, times and
attributes of files it does not hold: a program that knows the path of a file of the user's can change those, and
cannot be kept from it without being kept from unpacking an archive into its own folder.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import landlock

FILES, NETWORK, SOCKETS = "ORCHESTRA_CODE_FILES", "ORCHESTRA_CODE_NETWORK", "ORCHESTRA_CODE_SOCKETS"
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/nix/store"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"),
    *("/etc/localtime", "/etc/timezone", "/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/etc/fonts"),
    *("/etc/mime.types", "/etc/os-release"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu"),
    *("/dev/random", "/dev/urandom", "/dev/zero"),
)


def access(folder: str) -> dict[str, Any]:
    """Return what a program whose own folder is ``folder`` may read, write and reach.

    ``ORCHESTRA_CODE_FILES`` names more folders that it may use (separated as in ``PATH``), and
    ``ORCHESTRA_CODE_NETWORK=0`` forbids all sockets but Unix ones. ``ORCHESTRA_CODE_SOCKETS=1`` allows those, by
    which services of this computer are reached: a local database, but also the keyring. Run by root, a program has
    none of root's powers, and reaches in these folders what their modes let the user root reach.
    """
    allowed = [path for path in os.environ.get(FILES, "").split(os.pathsep) if path]
    return {
        "readable": [*_SYSTEM, *python_folders(), *search_path()],
        "writable": [folder, "/dev/null", *allowed],
        # Here are the semaphores of every pool of processes. Those of other programs have names that nobody can guess.
        "shared": ["/dev/shm"],  # noqa: S108  (where the kernel has it)
        "network": network_allowed(),
        "sockets": os.environ.get(SOCKETS, "").strip().lower() in ("1", "true", "yes", "on"),
    }


def network_allowed() -> bool:
    """Tell whether programs may use the network."""
    return os.environ.get(NETWORK, "1").strip().lower() not in ("0", "false", "no", "off")


def limits_of_the_sandbox() -> str:
    """Say in one line what a code node can see, for the log."""
    return warning() or f"code nodes see Python, its packages and a folder of their own (Landlock {landlock.version()})"


def warning() -> str | None:
    """Return what whoever starts the server must know of code nodes here, None where Landlock holds them."""
    if landlock.version():
        return None
    return (
        "this system has no Landlock: code nodes can read what you can read, also keys in the environment of this "
        "server; run only workflows that you trust"
    )


@lru_cache(maxsize=1)
def search_path() -> list[str]:
    """Return where the server itself finds installed packages: code nodes have the user's packages."""
    library = str(Path(os.__file__).parent)
    # The folder in which the server was started is on its path too, and is nobody's package.
    here = str(Path.cwd())
    return [
        path for path in sys.path if path and path != here and not path.endswith(".zip") and not _within(path, library)
    ]


def python_folders() -> list[str]:
    """Return the folders of the interpreter itself."""
    return sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parent)})


def _within(path: str, library: str) -> bool:
    return (path == library or path.startswith(library + os.sep)) and "-packages" not in path
