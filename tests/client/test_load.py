"""Many runs, many kernels, a long day: threads, sockets, memory and requests stay bounded."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Reply, Said, Scripted

from orchestra_magic import Orchestra, OrchestraConnectionError
from orchestra_magic.client import journal, schedule, transport
from orchestra_magic.client import watcher as watching
from orchestra_magic.client.run import Run

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
EXECUTE, RUNS = f"/workflows/{WF}/execute", f"/workflows/{WF}/runs"

KERNEL = f"""
import json, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from orchestra_magic import Orchestra, OrchestraConnectionError

def seen():
    sockets = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{fd}}")]
    return threading.active_count(), sum(name.startswith("socket:") for name in sockets)

def peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0])  # KiB; what getrusage says is the parent's too

count = int(sys.argv[1])
orchestra = Orchestra()
orchestra.history({WF!r})  # what is loaded for the first request is no part of the load
before = peak()
begun = time.monotonic()
with ThreadPoolExecutor(8) as pool:
    runs = list(pool.map(lambda n: orchestra.execute({WF!r}, {{"n": n, "kernel": os.getpid()}}), range(count)))
took = time.monotonic() - begun
for run in runs:
    run.on_change(lambda run: None)
print("started", flush=True)
threads = sockets = 0
while not all(run.latest.finished for run in runs):
    now = seen()
    threads, sockets = max(threads, now[0]), max(sockets, now[1])
    time.sleep(0.05)
memory = peak() - before
print(json.dumps(dict(ids=[run.id for run in runs], threads=threads, sockets=sockets, memory=memory, took=took)), flush=True)
os._exit(0)  # without waiting for the steps of a thousand runs
"""


class Far:
    """A server that starts runs, and lets them all end at once."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.over = threading.Event()
        self.rows: dict[str, dict[str, Any]] = {}
        self._count = itertools.count()
        server.on("POST", EXECUTE, self.started)
        server.on("GET", RUNS, self.history)
        server.on("GET", "/workflows", [])

    def started(self, said: Said) -> dict[str, str]:
        run_id = f"run-{next(self._count)}"
        self.rows[run_id] = {"id": run_id, "inputs": said.json}
        self.server.on("GET", f"{RUNS}/{run_id}", lambda _: self.state(run_id))
        self.server.on("GET", f"{RUNS}/{run_id}/steps", [])
        return {"run_id": run_id}

    def state(self, run_id: str) -> dict[str, Any]:
        return {**self.rows[run_id], "status": "completed" if self.over.is_set() else "running"}

    def history(self, said: Said) -> list[dict[str, Any]]:
        query = dict(part.split("=") for part in said.path.split("?")[1].split("&"))
        newest = list(reversed(self.rows))
        return [self.state(run_id) for run_id in newest[int(query["offset"]) :][: int(query["limit"])]]


def kernels(far: Far, number: int, runs: int) -> list[dict[str, Any]]:
    """Let so many kernels start so many runs each, all at once, and return what each saw of itself."""
    environment = os.environ | {"ORCHESTRA_BASE_URL": far.server.base_url, "ORCHESTRA_API_KEY": "sk-load"}
    command = [sys.executable, "-c", KERNEL, str(runs)]
    made = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    try:
        for kernel in made:
            assert kernel.stdout is not None
            assert kernel.stdout.readline() == "started\n"
        far.over.set()
        return [json.loads(kernel.communicate(timeout=170)[0]) for kernel in made]
    finally:
        for kernel in made:
            kernel.kill()


def check(far: Far, number: int, runs: int) -> None:
    seen = kernels(far, number, runs)
    ids = [run_id for one in seen for run_id in one["ids"]]
    assert len(ids) == len(set(ids)) == len(far.server.posts) == number * runs
    assert {entry.run_id for entry in journal.entries()} == set(ids)
    assert all(not entry.unconfirmed for entry in journal.entries())
    keys = Counter(said.headers["Idempotency-Key"] for said in far.server.posts)
    assert set(keys.values()) == {1}
    asked = len(far.server.said) - len(far.server.posts)
    for one in seen:
        assert one["threads"] <= 4, one  # the main thread, the watcher, the journal's
        assert one["sockets"] <= 16, one
        assert one["memory"] <= 10_000 + 20 * runs, one  # KiB
    print({"kernels": number, "runs each": runs, "requests beside the starts": asked})
    print(*({name: value for name, value in one.items() if name != "ids"} for one in seen), sep="\n")


def test_many_runs_in_flight(server: Scripted) -> None:
    check(Far(server), 1, 200)


def test_several_kernels_at_once(server: Scripted) -> None:
    check(Far(server), 3, 25)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("number", "runs"), [(1, 1000), (10, 100)])
def test_a_thousand_runs(number: int, runs: int, server: Scripted) -> None:
    check(Far(server), number, runs)


class Clock:
    """The time of a watcher: waiting takes none of ours."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class Bell(threading.Condition):
    """A condition on which nobody waits for time to pass: it has passed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.ahead += max(0.0, timeout)
        return False

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:  # type: ignore[override]
        self.wait(timeout)
        return predicate()


def a_long_time(server: Scripted, orchestra: Orchestra, hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    watcher = watching.Watcher()
    watcher._changed = Bell(clock)
    end = clock.monotonic() + hours * 3600
    runs = [Run(orchestra, f"run-{n}", WF, just_started=True) for n in range(20)]
    over, asked, sizes, sockets = threading.Event(), Counter[int](), list[int](), list[int]()

    def history(_: Said) -> list[dict[str, Any]]:
        status = "completed" if clock.monotonic() > end else "running"
        return [{"id": run.id, "status": status, "inputs": {"n": 1}} for run in runs]

    server.on("GET", RUNS, history)
    server.on("GET", "/workflows", [])
    for run in runs:
        server.on("GET", f"{RUNS}/{run.id}/steps", [])
    left, hour = {run.id for run in runs}, [0]

    def told(run: Run) -> None:
        asked[int(clock.ahead // 3600)] += len(server.said)
        server.said.clear()  # what the test keeps is no part of the load
        if clock.ahead // 3600 > hour[0]:
            hour[0] = int(clock.ahead // 3600)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
            sockets.append(len(list(Path("/proc/self/fd").iterdir())))
        if run.latest.finished:
            left.discard(run.id)
        if not left:
            over.set()

    tracemalloc.start()
    with watcher._changed:  # it begins when all are there
        for run in runs:
            watcher.watch(run, told)
    assert over.wait(150)
    tracemalloc.stop()
    watcher.stop()
    total = sum(asked.values())
    print({"hours": hours, "requests": total, "in the first hour": asked[0], "growth": max(sizes) - sizes[0]})
    # twenty runs of one workflow are one request each time, every 30 s at most often once they are old
    assert total < hours * 3600 / (schedule.LONGEST * 0.9) + 20 * hours + 100
    assert max(sizes) - sizes[0] < 300_000
    assert max(sockets) - min(sockets) <= 4
    assert sum(thread.name == "orchestra-watcher" for thread in threading.enumerate()) <= 1


def test_hours_of_looking(server: Scripted, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    a_long_time(server, orchestra, 4, monkeypatch)


@pytest.mark.slow
def test_a_day_of_looking(server: Scripted, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    a_long_time(server, orchestra, 24, monkeypatch)


def test_a_bomb_does_not_fill_the_memory(
    server: Scripted, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 MB in 300 KB: given up at the limit, with little more than that in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(b" " * 1_000_000) for _ in range(300)) + packer.flush()
    monkeypatch.setattr(transport, "MAX_BYTES", 5_000_000)
    server.on("GET", "/workflows", Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    with pytest.raises(OrchestraConnectionError, match="larger than 5 MB"):
        orchestra.workflows()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
