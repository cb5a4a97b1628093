"""Environments of their own for what we are compared with, so that nothing of it stands in ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def environment(name: str, packages: Sequence[str], folder: Path, *, forced: Sequence[str] = ()) -> Path:
    """Return the Python of an environment with ``packages``; skip the benchmark where pip cannot make it.

    Parameters
    ----------
    folder : Path
        Where it is made. BENCHMARK_CACHE names another, which keeps it between runs.
    forced : Sequence[str]
        What is installed after them against their own wishes, because they do not run with what they ask for.
    """
    place = Path(os.environ.get("BENCHMARK_CACHE") or folder) / name
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = place / "complete"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        steps = [[*pip, *packages], *([[*pip, "--no-deps", *forced]] if forced else [])]
        if any(subprocess.run(step, check=False).returncode for step in steps):
            pytest.skip(f"pip cannot install {', '.join(packages)} to compare with")
        done.touch()
    return python


def versions(python: Path, names: Sequence[str]) -> str:
    """Return the versions of packages in an environment."""
    code = f"import importlib.metadata as m; print(*(n + ' ' + m.version(n) for n in {list(names)}), sep=', ')"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
