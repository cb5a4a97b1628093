"""The README's two commands: the first is run as written, the second is what the gate runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = [
    command
    for command in re.findall(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    if command.startswith("python3 -m venv")
]


def test_there_are_two_commands() -> None:
    first, second = COMMANDS
    assert "quickstart" in first
    assert "pytest" in second
    assert "\n" not in first + second


def test_the_gate_runs_the_second_word_for_word() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == COMMANDS[1]


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """The files that git has, in a folder of their own."""
    tracked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    folder = tmp_path / "clone"
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    yield folder
    stop = folder / ".venv" / "bin" / "orchestra-local"
    if stop.exists():
        subprocess.run([stop, "stop"], env=empty_home(tmp_path), check=False)


def empty_home(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    ours = ("PIP_", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT")  # how this machine reaches its packages
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.upper().startswith(ours)}
    return kept | {"HOME": str(home), "LANG": "C.UTF-8"}


@pytest.mark.timeout(600)
def test_the_first_as_written(clone: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", COMMANDS[0]], cwd=clone, env=empty_home(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (clone / "notebooks" / "quickstart.html").read_text(encoding="utf-8")
    assert "Gentoo has the highest mean body_mass_g, 5,076.02: 1,342.93 more than Chinstrap" in page
    assert "did you mean" in page  # the last cell shows what an error says
    assert "<script>" not in page.split("Start a run from a cell")[1].split("Look at what it did")[0]
