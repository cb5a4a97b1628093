"""Bubblewrap: a program in namespaces of its own, which is what contains code that nobody trusts.

It sees Python, its packages and its folder, no other process, and no network unless that is allowed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from .access import python_folders, search_path

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/pki")
_FOR_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
_PATIENCE = 10
_UNSHARED = ("user", "pid", "ipc", "uts", "cgroup-try")


def find() -> str | None:
    """Return the path of ``bwrap``, None where it is not installed."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


def unusable() -> str | None:
    """Return why nothing can run in bubblewrap here, None where it can."""
    bwrap = find()
    if bwrap is None:
        return "bubblewrap is not installed (the command bwrap, in the system package bubblewrap)"
    return _refusal(bwrap)


@lru_cache(maxsize=4)
def _refusal(bwrap: str) -> str | None:
    # Some systems have it, and let nobody but root make the namespaces that it needs.
    words = [bwrap, *(f"--unshare-{one}" for one in _UNSHARED), "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start ({error})"
    return f"this system does not let bubblewrap work ({done.stderr.strip()})" if done.returncode else None


def command(folder: str, sandbox: str, *, network: bool) -> list[str]:
    """Return what stands before the command of a program whose own folder is ``folder``.

    Parameters
    ----------
    folder : str
        The one folder that it may write to.
    sandbox : str
        Where the code of the sandbox itself lies.
    network : bool
        Whether it may have one.
    """
    words = [find() or "bwrap", *(f"--unshare-{one}" for one in _UNSHARED)]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if not network:
        words.append("--unshare-net")
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108  (its own)
    seen = [*_SYSTEM, *(_FOR_NETWORK if network else ()), *python_folders(), *search_path(), sandbox]
    for path in dict.fromkeys(seen):
        if Path(path).exists():
            words += ["--ro-bind", path, path]
    return [*words, "--bind", folder, folder, "--chdir", folder, os.path.realpath(sys.executable)]
