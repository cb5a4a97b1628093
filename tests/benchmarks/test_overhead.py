"""The overhead of ``%%orchestra_execute`` over a hand-written POST, and where it goes.

Run it with ``pytest tests/benchmarks/test_overhead.py -m slow``.

Both start the same workflow with the same body and the same headers on one embedded Orchestra, a process of its
own. A started run is executed by that process, and so would take the processor from whoever comes next: each
run is waited for to its end, on a connection of its own, and then for the server to make ready for another one,
before the next is started. So every start meets a server at rest. The order changes from round to
round. A third way, the POST with two fsynced lines around it, shows what the disk alone makes of the journal.

The parts are timed twice: within cells that really run, where the disk and the processor are shared with the
server, and alone.
"""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import requests
from IPython.core.interactiveshell import InteractiveShell
from local.embedded import LocalServer
from shells import fresh_shell

from orchestra_magic.client import api, journal, settings, transport
from orchestra_magic.notebook import body, options

from .figures import interval, median, spread, table

PAIRS, WARMUP = 200, 10
REPEATS = 100
REST = 0.15
"""Seconds after a run in which the server writes its end and makes ready for the next one."""
WORKFLOW, LINE, CELL, INPUTS = "hello", "hello", "name: Ada\n", {"name": "Ada"}
GOAL = 1.3
MAGIC, HAND, KEPT = "%%orchestra_execute", "requests.Session().post", "the same, noted in a file, fsynced twice"
WHOLE, DIGEST, DISPLAY = "whole", "digest", "display"
LINE_PART, BODY_PART = "parse the line", "parse the body, put variables in"
INTENDED, SEND, STARTED = "journal: intended", "send", "journal: started"


@pytest.fixture
def server(tmp_path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "home").start()
    yield running
    running.close()


@pytest.fixture
def shell(server, monkeypatch) -> Iterator[InteractiveShell]:
    """A shell with the magics, connected to the server as ``%orchestra_connect local`` does it."""
    monkeypatch.setenv("ORCHESTRA_HOME", str(server.home))
    with fresh_shell() as made:
        made.run_line_magic("load_ext", "orchestra_magic")
        made.run_line_magic("config", "OrchestraMagics.watch = 'off'")
        made.run_line_magic("orchestra_connect", "local")
        yield made


class ByHand:
    """What a person would write: one session that is kept, and one POST."""

    def __init__(self, server: LocalServer) -> None:
        self.url = f"{server.base_url}/workflows/{server.id_of(WORKFLOW)}/execute"
        self.session = requests.Session()
        self.session.headers.update(
            {
                "Authorization": f"Bearer {server.token}",
                "User-Agent": transport.USER_AGENT,
                "Accept": "application/json",
            }
        )

    def execute(self) -> str:
        response = self.session.post(self.url, json=INPUTS, headers={"Idempotency-Key": str(uuid.uuid4())}, timeout=60)
        response.raise_for_status()
        return response.json()["run_id"]

    def execute_and_note(self, file: Path) -> str:
        """Keep the intention and the run as the magic does, in the fewest lines: what the disk alone costs."""
        note(file, {"intended": self.url, "time": time.time(), "inputs": INPUTS})
        run_id = self.execute()
        note(file, {"started": run_id, "time": time.time()})
        return run_id


def note(file: Path, event: dict[str, Any]) -> None:
    with file.open("ab", buffering=0) as journal_by_hand:
        journal_by_hand.write(json.dumps(event).encode() + b"\n")
        os.fsync(journal_by_hand.fileno())


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    value = call()
    return time.perf_counter() - begun, value


def at_rest(server: LocalServer, run_id: str) -> dict[str, Any]:
    """Wait until a run is over and the server has cleared up after it; return the run."""
    run = server.run(WORKFLOW, run_id)
    assert run["end_time"]
    time.sleep(REST)
    return run


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_overhead_of_a_cell(server, shell, monkeypatch, capsys):
    by_hand, noting = ByHand(server), ByHand(server)
    ways = {
        MAGIC: lambda: shell.run_cell_magic("orchestra_execute", LINE, CELL).id,
        HAND: by_hand.execute,
        KEPT: lambda: noting.execute_and_note(server.home / "by-hand.jsonl"),
    }
    names = list(ways)
    seen: dict[str, list[float]] = {name: [] for name in ways}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(WARMUP + PAIRS):
        for name in random.sample(names, len(names)):
            seconds, run_id = timed(ways[name])
            run = at_rest(server, run_id)
            if number >= WARMUP:  # the first ones open connections and load modules
                seen[name].append(seconds)
                runs[name].append(run)
            if name == MAGIC:
                assert shell.user_ns["run_id"] == run_id

    assert len({run["id"] for each in runs.values() for run in each}) == len(ways) * PAIRS, (
        "each start is a run of its own"
    )
    for member in ("inputs", "outputs", "status"):
        said = {json.dumps(run[member], sort_keys=True) for each in runs.values() for run in each}
        assert len(said) == 1, said
    cells = within_cells(server, shell, monkeypatch)
    apart = alone(server, shell)
    with capsys.disabled():
        print(f"\n\n{report(seen, cells, apart)}\n")


class Stopwatch:
    """Takes the time of functions while they are called by others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.seconds: dict[str, float] = {}

    def watch(self, part: str, place: Any, name: str) -> None:
        function = getattr(place, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun

        self._monkeypatch.setattr(place, name, watched)


def within_cells(
    server: LocalServer, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, float]]:
    """Time the parts of the magic within cells that really run: one dict of seconds for each cell."""
    cells = []
    with monkeypatch.context() as patched:
        watch = Stopwatch(patched)
        for part, place, name in [
            (LINE_PART, options, "parse"),
            (BODY_PART, body, "inputs"),
            (DIGEST, journal, "digest"),
            (INTENDED, journal, "intended"),
            (SEND, transport, "send"),
            (STARTED, journal, "started"),
        ]:
            watch.watch(part, place, name)
        for _ in range(REPEATS):
            watch.seconds = {}
            seconds, run = timed(lambda: shell.run_cell_magic("orchestra_execute", LINE, CELL))
            cells.append({**watch.seconds, WHOLE: seconds})
            at_rest(server, run.id)
    return cells


def alone(server: LocalServer, shell: InteractiveShell) -> dict[str, list[float]]:
    """Time the parts of the magic by themselves, over and over in this process."""
    magics = shell.magics_manager.registry["OrchestraMagics"]
    workflow_id = server.id_of(WORKFLOW)
    endpoint = settings.resolve()

    def parse_line() -> Any:
        return options.parse(type(magics).orchestra_execute, LINE, shell)

    def parse_body() -> Any:
        return body.inputs(parsed, CELL, shell.user_ns)

    def intended() -> None:
        journal.intended(
            str(uuid.uuid4()), base_url=endpoint.base_url, workflow_id=workflow_id, digest=journal.digest(INPUTS)
        )

    def card() -> Any:
        return shell.display_formatter.format(run)[0]

    parsed = parse_line()
    run = shell.run_cell_magic("orchestra_execute", LINE, CELL).wait()
    at_rest(server, run.id)
    assert parse_body() == INPUTS
    assert card().keys() >= {"text/plain", "text/html"}
    measured = {}
    for part, call in [
        (LINE_PART, parse_line),
        (BODY_PART, parse_body),
        (DIGEST, lambda: journal.digest(INPUTS)),
        (INTENDED, intended),
        (STARTED, lambda: journal.started(str(uuid.uuid4()), str(uuid.uuid4()))),
        (DISPLAY, card),
    ]:
        call()
        measured[part] = [timed(call)[0] for _ in range(REPEATS)]
    measured[SEND] = []
    for _ in range(REPEATS):
        request = api.execute(workflow_id, INPUTS, idempotency_key=str(uuid.uuid4()))
        seconds, answer = timed(lambda request=request: transport.send(request, endpoint))
        measured[SEND].append(seconds)
        at_rest(server, answer.data["run_id"])
    return measured


def ratio(seen: dict[str, list[float]], other: str) -> str:
    """Return how much longer the magic takes than another way."""
    pairs = [mine / theirs for mine, theirs in zip(seen[MAGIC], seen[other], strict=True)]
    low, high = interval(pairs)
    return (
        f"  {MAGIC} over {other}: ratio of the medians {median(seen[MAGIC]) / median(seen[other]):.2f}; "
        f"of the pairs {median(pairs):.2f} (95 %: {low:.2f} … {high:.2f})"
    )


def report(seen: dict[str, list[float]], cells: list[dict[str, float]], apart: dict[str, list[float]]) -> str:
    """Return the tables and the ratio."""

    def compared(name: str, seconds: list[float]) -> list[str]:
        low, middle, high = (1000 * value for value in spread(seconds))
        return [name, f"{middle:.2f} ms", f"{low:.2f} … {high:.2f}"]

    def shared(name: str, seconds: list[float]) -> list[str]:
        own = f"{1000 * median(apart[name]):.3f} ms" if name in apart else ""
        share = mean(seconds) / mean(cell[WHOLE] for cell in cells)
        return [name, f"{1000 * median(seconds):.3f} ms", f"{1000 * mean(seconds):.3f} ms", f"{share:.0%}", own]

    # The digest is taken within `intended` too, and is shown as its own part.
    parts = {part: [cell[part] for cell in cells] for part in (LINE_PART, BODY_PART, INTENDED, SEND, STARTED)}
    rest = [cell[WHOLE] - sum(cell[part] for part in parts) for cell in cells]
    lines = [
        f"A start on the embedded Orchestra: {PAIRS} rounds, each start with the server at rest",
        table(["", "median", "quartiles"], [compared(name, seen[name]) for name in seen]),
        ratio(seen, HAND) + f"; goal: at most {GOAL}",
        ratio(seen, KEPT),
        "",
        f"Where the time of a cell goes ({REPEATS} cells; the means add up)",
        table(
            ["", "median", "mean", "share", "alone"],
            [
                *(shared(part, seconds) for part, seconds in parts.items()),
                shared("everything else", rest),
                shared("the cell", [cell[WHOLE] for cell in cells]),
            ],
        ),
        f"  digests of the inputs, within these: {1000 * median(cell[DIGEST] for cell in cells):.3f} ms",
        f"  display of the finished run, not in these: {1000 * median(apart[DISPLAY]):.3f} ms",
    ]
    return "\n".join(lines)
