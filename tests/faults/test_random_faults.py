"""Any faults in any order: no run is lost, none is doubled, no start is sent twice.

The far end knows the truth: which start became which run. What the client says is held against it.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from scripted import Reply, Said, Scripted

from orchestra_magic import Orchestra, OrchestraError, Run, RunUnconfirmed
from orchestra_magic.client import journal, reconcile

from .acts import HEAD, break_off, raw

FIGURES: Counter[str] = Counter()
HEARD = {
    "reset": Reply(act=break_off),
    "closed": Reply(act=raw(b"")),
    "half": Reply(act=raw(HEAD + b'Content-Length: 99\r\n\r\n{"run')),
    "half JSON": Reply(body=b'{"run_id": "'),
    "page": Reply(body=b"<html>welcome</html>"),
    "no id": Reply(data={"message": "started"}),
    "500": Reply(500),
    "502": Reply(502, body=b"<html><title>Bad Gateway</title></html>"),
    "503": Reply(503),
    "504": Reply(504),
    "408": Reply(408),
}
"""What a client may hear instead of the answer, whether the run was started or not."""
REFUSED = [401, 403, 404, 409, 422, 429]

lost = st.sampled_from(sorted(HEARD))
start = st.one_of(
    st.just(("started", "answer")),
    st.tuples(st.just("started"), lost),
    st.tuples(st.just("not started"), lost),
    st.tuples(st.just("refused"), st.sampled_from(REFUSED)),
)
inputs = st.sampled_from([{"prompt": "a"}, {"prompt": "b"}, {}])


class World(RuleBasedStateMachine):
    """One computer with several kernels, and a server whose answers get lost."""

    server: ClassVar[Scripted]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        os.environ["ORCHESTRA_HOME"] = self.folder.name
        self.workflow = str(uuid.uuid4())
        self.execute, self.runs = f"/workflows/{self.workflow}/execute", f"/workflows/{self.workflow}/runs"
        self.server.routes.clear()
        self.server.said.clear()
        self.server.on("POST", self.execute, self.answer)
        self.server.on("GET", self.runs, self.history)
        self.lock = threading.Lock()
        self.plans: list[tuple[str, Any]] = []
        self.wait_for: threading.Event | None = None
        self.rows: list[dict[str, Any]] = []
        self.by_key: dict[str, str] = {}
        self.inputs_of: dict[str, Any] = {}
        self.hidden_looks = 0
        self.broken_looks = 0
        self.ids = itertools.count()
        self.held: list[Run] = []
        self.unconfirmed: dict[str, RunUnconfirmed] = {}
        self.starts = 0

    # the far end

    def answer(self, said: Said) -> Any:
        with self.lock:
            what, heard = self.plans.pop(0)
            key = said.headers["Idempotency-Key"]
            run_id = None
            if what == "started":
                run_id = self.began(said.json)
                self.by_key[key] = run_id
                self.inputs_of[run_id] = said.json
            slow = self.wait_for if heard == "answer" else None
        if slow is not None:
            slow.wait(20)
        if what == "refused":
            return Reply(heard, {"detail": "no"})
        return {"run_id": run_id} if heard == "answer" else HEARD[heard]

    def began(self, said: Any, *, ago: float = 0.0) -> str:
        run_id = f"run-{next(self.ids)}"
        began = datetime.now(timezone.utc) + self.clock - timedelta(seconds=ago)
        row = {"id": run_id, "status": "running", "start_time": began.isoformat(), "inputs": said}
        self.rows.insert(0, row)
        return run_id

    def history(self, said: Said) -> Reply:
        date = format_datetime(datetime.now(timezone.utc) + self.clock, usegmt=True)
        with self.lock:
            if self.broken_looks:
                self.broken_looks -= 1
                return Reply(503)
            shown = list(self.rows)
            if self.hidden_looks:
                self.hidden_looks -= 1
                shown = []
        query = dict(part.split("=") for part in said.path.split("?")[1].split("&"))
        first = int(query["offset"])
        return Reply(data=shown[first : first + int(query["limit"])], headers={"Date": date})

    # what may happen

    @initialize(hours=st.sampled_from([-30, -2, 0, 0, 0, 3, 50]))
    def clocks(self, hours: int) -> None:
        self.clock = timedelta(hours=hours)

    @rule(plan=start, said=inputs)
    def one(self, plan: tuple[str, Any], said: Any) -> None:
        self.begin([plan], said)

    @rule(plans=st.lists(start, min_size=2, max_size=3), said=inputs)
    def several_at_once(self, plans: list[tuple[str, Any]], said: Any) -> None:
        """Equal inputs; good answers come only when the others have looked into the history."""
        self.begin(plans, said)

    def begin(self, plans: list[tuple[str, Any]], said: Any) -> None:
        self.plans, self.wait_for = list(plans), threading.Event()
        late = threading.Semaphore(0)
        quick = sum(heard != "answer" for _, heard in plans)

        def release() -> None:
            for _ in range(quick):
                late.acquire(timeout=20)
            assert self.wait_for is not None
            self.wait_for.set()

        def go(_: int) -> Run | OrchestraError:
            try:
                return Orchestra(self.server.base_url, "sk-x").execute(self.workflow, said)
            except OrchestraError as error:
                return error
            finally:
                late.release()

        with ThreadPoolExecutor(len(plans) + 1) as pool:
            pool.submit(release)
            for done in pool.map(go, range(len(plans))):
                self.note(done)
        self.starts += len(plans)

    def note(self, done: Run | OrchestraError) -> None:
        if isinstance(done, Run):
            self.held.append(done)
        elif isinstance(done, RunUnconfirmed):
            self.unconfirmed[done.key] = done
        else:
            FIGURES["refused"] += 1

    @rule(said=inputs, ago=st.floats(10, 10_000))
    def an_older_run_of_somebody_else(self, said: Any, ago: float) -> None:
        self.began(said, ago=ago)

    @rule(looks=st.integers(1, 4))
    def a_history_that_lags(self, looks: int) -> None:
        self.hidden_looks = looks

    @rule(looks=st.integers(1, 4))
    def a_history_that_cannot_be_read(self, looks: int) -> None:
        self.broken_looks = looks

    @rule(which=st.integers(0))
    def look_again(self, which: int) -> None:
        if not self.unconfirmed:
            return
        key = sorted(self.unconfirmed)[which % len(self.unconfirmed)]
        try:
            found = Orchestra(self.server.base_url, "sk-x").reconcile(self.unconfirmed[key])
        except RunUnconfirmed:
            return
        del self.unconfirmed[key]
        self.held.append(found)
        FIGURES["found later"] += 1

    # what must hold

    @invariant()
    def no_start_is_sent_twice(self) -> None:
        keys = [said.headers["Idempotency-Key"] for said in self.server.posts]
        assert len(keys) == len(set(keys)) == self.starts

    @invariant()
    def no_run_is_doubled(self) -> None:
        ids = [run.id for run in self.held]
        assert len(ids) == len(set(ids))
        assert set(ids) <= set(self.by_key.values()), "a run of somebody else was taken"

    @invariant()
    def no_run_is_lost(self) -> None:
        """Each run is in somebody's hands, or its start is one that is known to be open."""
        held = {run.id for run in self.held}
        entries = {entry.key: entry for entry in journal.entries()}
        for key, run_id in self.by_key.items():
            if run_id in held:
                continue
            # with equal inputs, a start that came to nothing may have taken this one's run, and left its own
            assert key in self.unconfirmed, f"{run_id} is lost"
            assert entries[key].unconfirmed

    @invariant()
    def the_journal_says_the_same(self) -> None:
        entries = journal.entries()
        assert {entry.run_id for entry in entries if entry.run_id} == {run.id for run in self.held}
        assert {entry.key for entry in entries if entry.unconfirmed} == set(self.unconfirmed)

    @invariant()
    def inputs_fit(self) -> None:
        for run in self.held:
            assert dict(run.latest.inputs) == self.inputs_of[run.id]

    def teardown(self) -> None:
        FIGURES["examples"] += 1
        FIGURES["starts"] += self.starts
        FIGURES["POSTs"] += len(self.server.posts)
        FIGURES["runs"] += len(self.by_key)
        FIGURES["in hand"] += len(self.held)
        FIGURES["unconfirmed"] += len(self.unconfirmed)
        journal.settle()
        self.folder.cleanup()


@pytest.fixture
def world(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[World]]:
    monkeypatch.setenv("ORCHESTRA_HOME", "set by each example")
    monkeypatch.setattr(reconcile, "PAUSES", (0.0, 0.0, 0.0))
    World.server = server
    FIGURES.clear()
    yield World
    print(dict(FIGURES))


def run(world: type[World], examples: int, steps: int) -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    run_state_machine_as_test(
        world,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_is_lost_and_nothing_doubled(world: type[World]) -> None:
    run(world, 200, 12)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_is_lost_and_nothing_doubled_in_long(world: type[World]) -> None:
    run(world, 3000, 40)
