"""The oldest versions that are supported, which are Colab's, in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local.embedded import LocalServer

ROOT = Path(__file__).parents[2]
OLDEST = ["ipython==7.34.0", "ipykernel==6.17.1", "ipywidgets==7.7.1"]
OTHERS = ["requests", "pyyaml", "platformdirs", "setuptools"]


@pytest.fixture
def oldest(tmp_path: Path) -> Path:
    """A Python with the oldest versions."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *OLDEST, *OTHERS], check=True, capture_output=True)
    return python


@pytest.mark.timeout(400)
def test_a_session_in_the_oldest_versions(oldest: Path, tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "home").start()
    try:
        env = os.environ | {"PYTHONPATH": str(ROOT), "ORCHESTRA_HOME": str(server.home), "ORCHESTRA_BASE_URL": "local"}
        script = Path(__file__).with_name("session.py")
        done = subprocess.run([oldest, script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        server.close()
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["versions"] == ["7.34.0", "7.7.1"]
    assert "✔ completed · hello" in said["yaml"]
    assert said["bound"] == [True, "Hello, Ada!"]
    assert "Hello, world!" in said["bodiless"]
    assert said["option"].startswith("OrchestraUsageError: There is no option --wiat. Did you mean --wait?")
    assert said["body"].startswith("OrchestraInputError: line 2, column 5: A space must follow the colon")
    assert "greet" in said["steps"]
    assert said["completed"] == [["hello"], ["hello"], ["--dry-run"], ["json"]]
    assert "hello" not in said["unloaded"]
    assert said["form"] == [
        "Hello, Eve!",
        True,
        ["application/vnd.jupyter.widget-view+json", "text/html", "text/plain"],
    ]
    assert said["named"] == "True\n"
    assert said["every"] == [True, 15]
    assert "is over: completed." in said["summary"]
    assert said["same"]
    assert said["kept"] == said["left"] == []
