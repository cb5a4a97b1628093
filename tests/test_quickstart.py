"""The quickstart notebook: runs as documentation and as a test, with its stored outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def embedded_stopped() -> Iterator[None]:
    """Stop the embedded server that the notebook starts."""
    yield
    subprocess.run([sys.executable, "-m", "orchestra_magic.local", "stop"], capture_output=True, check=False)


@pytest.mark.usefixtures("embedded_stopped")
def test_quickstart_under_nbval() -> None:
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with=tests/nbval_sanitize.cfg"]
    options = ["--nbval-current-env", "--nbval-cell-timeout=60", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *options, "notebooks/quickstart.ipynb"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
