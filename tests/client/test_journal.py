"""The journal: what was started here is known here, whatever happens to the kernel or the disk."""

from __future__ import annotations

import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from orchestra_magic import paths
from orchestra_magic.client import journal

SECRET_INPUTS = {"password": "hunter2", "n": 1}


def start(key: str, run_id: str | None = None) -> None:
    journal.intended(key, base_url="local", workflow_id="wf", digest=journal.digest(SECRET_INPUTS))
    if run_id:
        journal.started(key, run_id)


def file() -> Path:
    return paths.home() / "journal.jsonl"


def test_a_start_is_there_before_its_answer_and_after() -> None:
    start("k1")
    (entry,) = journal.entries()
    assert (entry.workflow_id, entry.run_id, entry.unconfirmed) == ("wf", None, True)
    journal.started("k1", "r1")
    (entry,) = journal.entries()
    assert (entry.run_id, entry.unconfirmed) == ("r1", False)
    assert journal.find("r1", "local") == ("r1", "wf")
    assert journal.find("r1", "https://elsewhere.example") is None


def test_a_start_that_did_not_happen_leaves_nothing() -> None:
    start("k1")
    journal.dropped("k1")
    assert journal.entries() == []


def test_inputs_are_told_apart_and_never_told() -> None:
    start("k1", "r1")
    start("k2", "r2")
    first, second = journal.entries()
    assert first.digest == second.digest == journal.digest({"n": 1, "password": "hunter2"})
    assert first.digest != journal.digest({"n": 2, "password": "hunter2"})
    assert b"hunter2" not in file().read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_only_the_owner_reads_it() -> None:
    start("k1")
    for each in (file(), paths.home() / "journal.key"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_a_torn_line_costs_itself_alone() -> None:
    start("k1", "r1")
    with file().open("ab") as torn:
        torn.write(b'\n{"event": "intended", "key": "k2", "wor')
    start("k3", "r3")
    assert [entry.run_id for entry in journal.entries()] == ["r1", "r3"]


WRITER = """
import sys
from orchestra_magic.client import journal
for n in range(50):
    key = f"{sys.argv[1]}-{n}"
    journal.intended(key, base_url="local", workflow_id="wf", digest=journal.digest({"n": n}))
    journal.started(key, f"run-{key}")
"""


def test_kernels_write_at_once_without_tearing() -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len({entry.run_id for entry in journal.entries()}) == 200
    assert len({entry.digest for entry in journal.entries()}) == 50  # all with one and the same secret


def test_a_disk_that_cannot_be_written_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("ORCHESTRA_HOME", str(blocked / "inside"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start("k1", "r1")
    assert "note the run id yourself" in str(caught[0].message)
    assert [entry.run_id for entry in journal.entries()] == ["r1"]  # this process still knows it
