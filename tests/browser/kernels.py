"""Older kernels beside the newest one of the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .jupyter_driver import Jupyter

KERNELS = {"6.31.0": ["nest_asyncio"], "7.0.1": [], "7.3.0": []}
"""Versions of ipykernel, with what each needs beyond the newest one."""


def kernel_of(version: str, server: Jupyter) -> str:
    """Install a kernel of this version where ``server`` finds it, once, and return its name; "newest" is there."""
    if version == "newest":
        return "python3"
    name = f"ipykernel-{version}"
    folder: Path = server.kernels / name
    if folder.exists():
        return name
    packages = server.root.parent / "packages" / name
    wanted = [f"ipykernel=={version}", *KERNELS[version]]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), *wanted]
    if subprocess.run(command, check=False, timeout=120).returncode != 0:
        missing = f"ipykernel {version} is not to be had: the package index does not answer"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": {"PYTHONPATH": str(packages)},
    }
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    return name
