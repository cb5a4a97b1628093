"""The embedded Orchestra as a neighbour: how fast it starts, and what it takes while nobody asks it for anything.

Run it with ``pytest tests/benchmarks/test_server.py -m slow``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .figures import median, spread, table

ROUNDS = 11
IDLE_SECONDS = 20
IMPORTS = [sys.executable, "-c", "import starlette, uvicorn"]
SERVE = [sys.executable, "-m", "orchestra_magic.local", "serve", "--detached"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc"),
]


@contextmanager
def served(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Start a server; give it, and the seconds until it had answered a request."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    environment = kept | {"ORCHESTRA_HOME": str(home), "ORCHESTRA_MODEL_BASE_URL": "none"}
    began = time.perf_counter()
    with subprocess.Popen(SERVE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            about = json.loads(server.stdout.readline())
            said = json.loads((home / "local" / "server.json").read_text())
            asked = urllib.request.Request(
                about["base_url"] + "/workflows", headers={"Authorization": f"Bearer {said['token']}"}
            )
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            assert json.loads(opener.open(asked, timeout=30).read())
            yield server, time.perf_counter() - began
        finally:
            server.terminate()


def processes(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += processes(int(child))
    return found


def seconds_of_cpu(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB, shared pages by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1000
    raise AssertionError(pid)


def test_cold_start(tmp_path, capsys):
    imports, fresh, again = [], [], []
    with served(tmp_path / "known"):
        pass
    for number in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(IMPORTS, check=True)
        imports.append(time.perf_counter() - began)
        with served(tmp_path / f"new{number}") as (_, seconds):
            fresh.append(seconds)
        with served(tmp_path / "known") as (_, seconds):
            again.append(seconds)
    rows = []
    named = [("import starlette, uvicorn", imports), ("server, new data", fresh), ("server, data it knows", again)]
    for name, values in named:
        low, middle, high = spread(values)
        more = median([one - floor for one, floor in zip(values, imports, strict=True)])
        shown = "" if values is imports else f"{more:.2f} s"
        rows.append([name, f"{middle:.2f} s", f"{low:.2f} … {high:.2f}", shown])
    with capsys.disabled():
        head = ["until it has answered", "median", "quartiles", "more than the imports"]
        print(f"\n\n{table(head, rows)}\n  goal: at most 1.5 s more\n")


def test_idle(tmp_path, capsys):
    with served(tmp_path) as (server, _):
        time.sleep(3)  # what it does after its start
        pids = processes(server.pid)
        before = seconds_of_cpu(pids)
        began = time.perf_counter()
        time.sleep(IDLE_SECONDS)
        used = (seconds_of_cpu(pids) - before) / (time.perf_counter() - began)
        memory = [resident(pid) for pid in pids]
    others: list[Any] = [f"{each:.0f}" for each in memory[1:]]
    with capsys.disabled():
        print(f"\n\n  idle for {IDLE_SECONDS} s: {used:.2%} of one CPU (goal: under 2 %), ")
        print(f"  resident: server {memory[0]:.0f} MB (goal: under 150), its children {', '.join(others) or 'none'}\n")
    assert used < 0.1
    assert sum(memory) < 500
