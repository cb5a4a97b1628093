"""Runs per second of the embedded Orchestra, and how long one takes, beside other engines.

Run it with ``pytest tests/benchmarks/test_engine.py -m slow``. BENCHMARK_CACHE names a folder that keeps the
environments of the others between runs; without it they are made anew, which takes minutes.

Each engine takes the same graph of three nodes that do nothing, one after the other, to its end, in a process and
with a database of its own: on this disk, on the same with every fsync delayed to what an ordinary SSD takes, and in
memory (tmpfs), where an fsync costs nothing and the processor decides. They take turns, so that what else the machine
does hits all alike. The floor is plain asyncio with a commit for every change of state, in its event loop (which
answers nobody meanwhile) or in a thread. LangGraph accepts, queues, lists and recovers nothing. dbos is a library
for durable workflows, alone: what an engine on it would cost before anything of ours.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .disks import SYNC_MS, Disk, disks, slowed
from .engines.ours import GRAPH
from .figures import median, spread, table
from .peers import environment, versions

HERE = Path(__file__).parent / "engines"
ROUNDS, RUNS, CLIENTS = 5, 200, (1, 16)
PREFECT_ROUNDS, PREFECT_RUNS = 2, 16
POSTS, POST_ROUNDS = 20, 9
FLOOR, THREADED, OURS = "floor", "floor_in_thread", "ours"
DBOS, LANGGRAPH, PREFECT = "with_dbos", "with_langgraph", "with_prefect"
NAMES = {
    FLOOR: "asyncio and SQLite (the floor)",
    THREADED: "the floor, commits in a thread",
    OURS: "orchestra_magic",
    DBOS: "dbos",
    LANGGRAPH: "LangGraph",
    PREFECT: "Prefect",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The Python of each engine."""
    folder = tmp_path_factory.mktemp("peers")
    dbos = environment("dbos", ["dbos>=3.4,<4"], folder)
    langgraph = environment("langgraph", ["langgraph", "langgraph-checkpoint-sqlite"], folder)
    # The newest that installs, and the newest libraries that its server starts with.
    prefect = environment("prefect", ["prefect==3.8.8"], folder, forced=["fastapi<0.125", "starlette<0.51"])
    own = Path(sys.executable)
    return {FLOOR: own, THREADED: own, OURS: own, DBOS: dbos, LANGGRAPH: langgraph, PREFECT: prefect}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Disk]:
    """Where databases are put."""
    return disks(tmp_path_factory.mktemp("disk"))


@contextmanager
def folder_on(disk: Disk) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir=disk.folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environ(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "PREFECT_"))}
    return kept | {"ORCHESTRA_HOME": str(folder), "PYTHONPATH": str(HERE.parents[2])}


def timed(python: Path, name: str, disk: Disk, runs: int, clients: int) -> dict[str, float]:
    """Let one engine take its runs; return what it says."""
    with folder_on(disk) as folder:
        command = [str(python), str(HERE / f"{name}.py"), str(folder), str(runs), str(clients)]
        env = environ(folder) | disk.environment
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


COMMITS = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n)")
began = time.perf_counter()
for n in range(50):
    db.execute("INSERT INTO t VALUES (?)", (n,))
print((time.perf_counter() - began) / 50 * 1000)
"""


def test_slow_disk_slows_commits(tmp_path):
    disk = slowed(tmp_path)
    if disk is None:
        pytest.skip("no slower disk can be built here")
    command = [sys.executable, "-c", COMMITS, str(tmp_path / "commits.sqlite")]
    done = subprocess.run(command, env=os.environ | disk.environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) >= SYNC_MS


def test_runs_per_second(pythons, places, capsys):
    seen: dict[tuple[str, str, int], list[dict[str, float]]] = defaultdict(list)
    syncs = []
    for number in range(ROUNDS):
        for clients in CLIENTS:
            for place, disk in places.items():
                names = [FLOOR, THREADED, OURS, DBOS, LANGGRAPH]
                for name in names[number % 5 :] + names[: number % 5]:
                    seen[name, place, clients].append(timed(pythons[name], name, disk, RUNS, clients))
                if number < PREFECT_ROUNDS:
                    seen[PREFECT, place, clients].append(timed(pythons[PREFECT], PREFECT, disk, PREFECT_RUNS, clients))
        syncs.append(milliseconds_per_sync(places["disk"].folder))
    with capsys.disabled():
        print(f"\n\n{report(seen, list(places), syncs, pythons)}\n")


def report(seen: Any, places: list[str], syncs: list[float], pythons: dict[str, Path]) -> str:
    """Return the table and the ratios."""

    def rates(name: str, place: str, clients: int) -> list[float]:
        return [each["runs_per_second"] for each in seen[name, place, clients]]

    def ratio(name: str, place: str, clients: int) -> float:
        pairs = zip(rates(OURS, place, clients), rates(name, place, clients), strict=False)
        return median([ours / theirs for ours, theirs in pairs])

    rows = []
    for name, title in NAMES.items():
        for place in places:
            for clients in CLIENTS:
                low, middle, high = spread(rates(name, place, clients))
                spent = median([each["cpu_per_run"] for each in seen[name, place, clients]])
                ours = "" if name == OURS else f"{ratio(name, place, clients):.2f}"
                figures = [f"{middle:.1f}", f"{low:.1f} … {high:.1f}", f"{1000 * spent:.2f} ms", ours]
                rows.append([f"{title}, {place}, {clients} at a time", *figures])
    shares = [median([each["cpu_of_commits"] for each in seen[OURS, places[-1], clients]]) for clients in CLIENTS]
    peers = ((DBOS, "dbos"), (LANGGRAPH, "langgraph"), (PREFECT, "prefect"))
    said = ", ".join(versions(pythons[name], [package]) for name, package in peers)
    goals = ["goals: at least 30 times Prefect; in tmpfs at least half of LangGraph, on an ordinary disk level with it"]
    return "\n".join(
        [
            f"Runs of three nodes that do nothing, {ROUNDS} rounds of {RUNS} ({said}, Python {sys.version.split()[0]})",
            f"one write and fdatasync on this disk: {median(syncs):.2f} ms (median of the rounds)",
            table(["engine", "runs/s", "quartiles", "CPU/run", "ours, times this"], rows),
            f"  {'; '.join(goals)}",
            f"  of our CPU time in {places[-1]}, the thread that commits takes "
            + ", ".join(f"{share:.0%} ({clients} at a time)" for share, clients in zip(shares, CLIENTS, strict=True)),
        ]
    )


def milliseconds_per_sync(disk: Path) -> float:
    """Return how long this disk takes to make 4 KB durable."""
    with tempfile.TemporaryFile(dir=disk) as file:
        times = []
        for _ in range(50):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 4096, 0)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1000 * median(times)


def test_from_post_to_end(places, capsys):
    """A POST until it is accepted and until its run is over, over HTTP, one after the other."""
    accepted: dict[tuple[str, str], list[float]] = defaultdict(list)
    finished: dict[tuple[str, str], list[float]] = defaultdict(list)
    for place, disk in places.items():
        with ExitStack() as stack:
            servers = [
                (name, stack.enter_context(server(name, disk, stack.enter_context(folder_on(disk)))))
                for name, server in ((OURS, our_server), (FLOOR, floor_server), (THREADED, floor_server))
            ]
            for number in range(POST_ROUNDS + 1):
                for name, posting in servers[:: 1 if number % 2 else -1]:
                    times = [posting() for _ in range(POSTS)]
                    if number:  # the first round warms all
                        accepted[name, place].append(median([one for one, _ in times]))
                        finished[name, place].append(median([other for _, other in times]))
    rows = []
    for name in (OURS, FLOOR, THREADED):
        for place in places:
            both = [f"{1000 * median(which[name, place]):.2f} ms" for which in (accepted, finished)]
            pairs = zip(finished[OURS, place], finished[name, place], strict=True)
            ours = "" if name == OURS else f"{median([ours / floor for ours, floor in pairs]):.2f}"
            rows.append([f"{NAMES[name]}, {place}", *both, ours])
    head = ["", "POST to accepted", "POST to finished", "ours, times this"]
    with capsys.disabled():
        print(f"\n\n{table(head, rows)}\n  goal: POST to finished at most 4 times the floor\n")


@contextmanager
def our_server(name: str, disk: Disk, folder: Path) -> Iterator[Any]:
    command = [sys.executable, str(HERE / f"{name}.py"), "serve", "--detached"]
    env = environ(folder) | disk.environment
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            about = json.loads(server.stdout.readline())
            token = json.loads((folder / "local" / "server.json").read_text())["token"]
            ask = client(about["base_url"].split("/")[2], {"Authorization": f"Bearer {token}"})
            base = "/api/v1/workflow/workflows"
            workflow = ask("POST", base, GRAPH)["workflow_id"]

            def post() -> tuple[float, float]:
                began = time.perf_counter()
                run_id = ask("POST", f"{base}/{workflow}/execute", {"n": 1})["run_id"]
                accepted = time.perf_counter()
                [run] = ask("GET", f"{base}/{workflow}/runs/{run_id}", None, Prefer="wait=60")
                ended = time.perf_counter()
                assert run["status"] == "completed", run
                return accepted - began, ended - began

            yield post
        finally:
            server.terminate()


@contextmanager
def floor_server(name: str, disk: Disk, folder: Path) -> Iterator[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / f"{name}.py"), "serve", str(folder), str(port)]
    with subprocess.Popen(command, env=environ(folder) | disk.environment) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            ask = client(f"127.0.0.1:{port}", {})

            def post() -> tuple[float, float]:
                began = time.perf_counter()
                run_id = ask("POST", "/execute", {"n": 1})["run_id"]
                accepted = time.perf_counter()
                [run] = ask("GET", f"/runs/{run_id}", None)
                ended = time.perf_counter()
                assert run[2] == "completed", run
                return accepted - began, ended - began

            yield post
        finally:
            server.terminate()


def client(netloc: str, always: dict[str, str]) -> Any:
    """Return a function that sends one request over a connection that is kept."""
    connection = http.client.HTTPConnection(netloc, timeout=90)
    used = -1.0

    def ask(method: str, path: str, content: Any, **headers: str) -> Any:
        nonlocal used
        # A server closes what is idle for seconds, and here the others have their turn meanwhile.
        if time.monotonic() - used > 1:
            connection.close()
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        used = time.monotonic()
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {**always, **headers, "Content-Type": "application/json"})
        response = connection.getresponse()
        said = response.read()
        assert response.status == 200, said
        return json.loads(said)

    return ask
