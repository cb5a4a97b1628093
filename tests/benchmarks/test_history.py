"""The history of a workflow with a hundred thousand runs behind it, beside one with a thousand.

Run it with ``pytest tests/benchmarks/test_history.py -m slow``. Both servers have really run a workflow; the rest of
their history are copies of that run's rows, under ids and times of their own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.embedded import LocalServer

from .figures import median, spread, table

FEW, MANY = 1_000, 100_000
OTHERS = 19
ROUNDS, LIMIT = 60, 100

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def filled(home: Path, runs: int) -> LocalServer:
    """Return a running server with so many runs, half of them of ``hello``, the others of workflows beside it."""
    server = LocalServer(home).start()
    run_id = server.finish("hello", {"name": "Ada"})["id"]
    server.stop()
    data = home / "local" / "data"
    ids = [run_id, *(str(uuid.uuid4()) for _ in range(runs - 1))]
    others = [str(uuid.uuid4()) for _ in range(OTHERS)]

    def ours(row: dict[str, object], number: int) -> dict[str, object]:
        workflow = row["workflow_id"] if number % 2 else others[number // 2 % OTHERS]
        later = {"started": row["started"] + 1000 * number, "ended": row["ended"] + 1000 * number}
        return row | later | {"run_id": ids[number], "workflow_id": workflow, "seq": row["seq"] + number}

    def steps(row: dict[str, object], number: int) -> dict[str, object]:
        return row | {"run": row["run"] + number}

    copy(data / "orchestra.sqlite", {"runs": ours, "steps": steps}, runs)
    return server.start()


def copy(path: Path, tables: dict[str, object], runs: int) -> None:
    """Copy the only run in each of ``tables`` until there are ``runs``."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        for name, change in tables.items():
            rows = [dict(row) for row in db.execute(f"SELECT * FROM {name}")]
            marks = ", ".join("?" * len(rows[0]))
            copies = (tuple(change(row, number).values()) for number in range(1, runs) for row in rows)
            db.executemany(f"INSERT INTO {name} VALUES ({marks})", copies)
        db.commit()


def timed(server: LocalServer, offset: int) -> float:
    path = f"/workflows/{server.id_of('hello')}/runs?limit={LIMIT}&offset={offset}"
    began = time.perf_counter()
    runs = server.get(path)
    seconds = time.perf_counter() - began
    assert len(runs) == LIMIT
    assert [run["status"] for run in runs] == ["completed"] * LIMIT
    return seconds


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[int, LocalServer]]:
    made: dict[int, LocalServer] = {}
    for runs in (FEW, MANY):
        home = tmp_path / str(runs)
        home.mkdir()
        made[runs] = filled(home, runs)
    yield made
    for server in made.values():
        server.close()


def test_history_of_many_runs(servers, capsys):
    seen: dict[tuple[int, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        for runs, server in list(servers.items())[:: 1 if number % 2 else -1]:
            for name, offset in (("newest", 0), ("oldest", runs // 2 - LIMIT)):
                seconds = timed(server, offset)
                if number:
                    seen.setdefault((runs, name), []).append(seconds)
    began = time.perf_counter()
    run = servers[MANY].finish("hello")
    assert [step["node_id"] for step in servers[MANY].steps("hello", run["id"])] == ["greet"]
    whole = time.perf_counter() - began
    rows = []
    for (runs, name), values in seen.items():
        low, middle, high = (1000 * value for value in spread(values))
        rows.append([f"{name} {LIMIT} of {runs:,}", f"{middle:.2f} ms", f"{low:.2f} … {high:.2f}"])
    ratio = median([many / few for many, few in zip(seen[MANY, "newest"], seen[FEW, "newest"], strict=True)])
    size = sum(path.stat().st_size for path in (servers[MANY].home / "local" / "data").rglob("*.sqlite")) / 1e6
    with capsys.disabled():
        print(f"\n\n{table(['GET …/runs', 'median', 'quartiles'], sorted(rows))}")
        print(f"  {ratio:.2f} times as long with {MANY:,} runs as with {FEW:,}; goal: at most 2")
        print(f"  a new run and its steps with them: {1000 * whole:.0f} ms; data {size:.0f} MB\n")
    assert ratio <= 2
