"""The crash test as a number: two hundred runs of about a second, and a server that is killed ten times meanwhile.

Run it with ``pytest tests/benchmarks/test_engine_crash.py -m slow``. Every step notes its beginning in a file. After
each kill the server's file says which steps are recorded: one of them that begins again in a later process was
executed twice. A step that was under way at the kill begins again by right, and is counted apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import requests

from .test_engine import HERE, environ

RUNS, KILLS, SECONDS = 200, 10, 0.33
NODES = ("a", "b", "c")
GRAPH = {
    "input_data": {"n": "integer"},
    "nodes": {name: {"type": "noted", "metadata": {"seconds": SECONDS}} for name in NODES},
    "edges": [["START", "a"], ["a", "b"], ["b", "c"], ["c", "END"]],
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Server:
    """The embedded Orchestra, in a process that can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = environ(home) | {"NOTES": str(home / "notes")}
        self.http = requests.Session()
        self.http.trust_env = False
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(HERE / "ours.py"), "serve", "--detached"]
        with (self.home / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=errors)
        said = json.loads(self.process.stdout.readline())
        assert "error" not in said, said
        about = json.loads((self.home / "local" / "server.json").read_text())
        self.base_url = about["base_url"]
        self.http.headers["Authorization"] = f"Bearer {about['token']}"

    def kill(self) -> int:
        """Kill it; return the pid that it had."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        return self.process.pid

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        """Ask until there is an answer: while the server is down there is none."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.http.request(method, self.base_url + path, timeout=90, **options)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def recorded(self) -> set[tuple[str, str]]:
        """Return the steps that the server's file holds."""
        # In a copy: whoever opens the file after a kill mends it, and that is the server's part.
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            for path in (self.home / "local" / "data").glob("orchestra.sqlite*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, folder)
            return self._read(Path(folder) / "orchestra.sqlite")

    @staticmethod
    def _read(path: Path) -> set[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            return {tuple(row) for row in db.execute("SELECT run_id, steps.key FROM steps JOIN runs ON run = seq")}

    def notes(self) -> list[tuple[int, tuple[str, str]]]:
        lines = (line.split() for line in (self.home / "notes").read_text().splitlines())
        return [(int(pid), (run_id, node)) for pid, run_id, node in lines]


def test_killed_ten_times(tmp_path, capsys):
    server = Server(tmp_path)
    workflow = server.ask("POST", "/workflows", json={"name": "noted", "graph": GRAPH}).json()["workflow_id"]
    accepted: dict[int, str] = {}

    def submit() -> None:
        for number in range(RUNS):
            response = server.ask(
                "POST",
                f"/workflows/{workflow}/execute",
                json={"n": number},
                headers={"Idempotency-Key": f"crash-{number}"},
            )
            accepted[number] = response.json()["run_id"]
            time.sleep(0.04)

    seed = int(os.environ.get("CRASH_SEED") or time.time())
    choose = random.Random(seed)
    submitting = threading.Thread(target=submit)
    submitting.start()
    lives: list[tuple[int, set[tuple[str, str]]]] = []
    downs = []
    for _ in range(KILLS):
        time.sleep(choose.uniform(0.2, 1.5))
        pid = server.kill()
        lives.append((pid, server.recorded()))
        began = time.monotonic()
        server.start()
        downs.append(time.monotonic() - began)
    submitting.join()
    ended = {}
    for number, run_id in accepted.items():
        response = server.ask("GET", f"/workflows/{workflow}/runs/{run_id}", headers={"Prefer": "wait=60"})
        ended[number] = response.json()[0]["status"] if response.status_code == 200 else response.status_code
    history = server.ask("GET", f"/workflows/{workflow}/runs?limit=1000").json()
    server.process.terminate()
    server.process.wait()

    notes = server.notes()
    twice = again = 0
    for place, (pid, recorded) in enumerate(lives):
        before = {one for one, _ in lives[: place + 1]}
        begun = {step for life, step in notes if life == pid}
        later = [step for life, step in notes if life not in before]
        twice += sum(step in recorded for step in later)
        again += sum(step in begun - recorded for step in set(later))
    lost = [number for number in range(RUNS) if ended.get(number) != "completed"]
    steps = {(run_id, node) for run_id in accepted.values() for node in NODES}
    with capsys.disabled():
        print(
            f"\n\n  {RUNS} runs of {len(NODES) * SECONDS:.2g} s, {KILLS} times kill -9 (seed {seed}): {len(lost)} runs "
            f"lost, {twice} recorded steps executed twice; {again} steps were under way at a kill and began again; "
            f"{len(notes)} executions of {len(steps)} steps; answers again after {max(downs):.2f} s at most\n"
        )
    assert len(accepted) == RUNS
    assert len(set(accepted.values())) == RUNS == len(history)
    assert not lost
    assert twice == 0
    assert {step for _, step in notes} == steps == server.recorded()
    # Nothing begins a second time but what a kill cut off.
    assert len(notes) == len(steps) + again
