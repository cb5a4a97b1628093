"""Older kernels beside the newest one of the environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .jupyter_driver import Jupyter

KERNELS = {"6.31.0": ["nest_asyncio"], "7.0.1": [], "7.3.0": []}
"""Versions of ipykernel, with what each needs beyond the newest one."""


def kernel_of(version: str, server: Jupyter) -> str:
    """Install a kernel of this version where ``server`` finds it, once, and return its name."""
    name = f"ipykernel-{version}"
    folder: Path = server.kernels / name
    if folder.exists():
        return name
    packages = server.root.parent / "packages" / name
    wanted = [f"ipykernel=={version}", *KERNELS[version]]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), *wanted]
    subprocess.run(command, check=True, timeout=120)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": {"PYTHONPATH": str(packages)},
    }
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    return name
