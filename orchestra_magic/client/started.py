"""What this computer started: the journal's entries, with what the server says of them within a second."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, OrchestraError
from . import api, journal, records, secrecy, settings
from .journal import Entry
from .listing import Runs
from .records import RunState
from .run import Run
from .snapshot import LOOK_SECONDS

if TYPE_CHECKING:
    from .orchestra import Orchestra

AT_ONCE = 8
"""How many histories are asked for at the same time."""
SERVERS = 5
"""How many others are named where nothing was started on this one."""


class Started(Runs):
    """The runs that this computer started, newest first; and the starts of which it is not known what they became.

    Attributes
    ----------
    unconfirmed : list of Entry
        Starts without an answer, newest first: ``orchestra.reconcile`` takes each.
    trouble : str
        Why the state of some is not known, or empty.
    """

    def __init__(
        self, orchestra: Orchestra, entries: Iterable[Entry], states: dict[str, RunState], trouble: str
    ) -> None:
        self._orchestra = orchestra
        self._rows: list[tuple[Entry, Run | None]] = []
        for entry in entries:
            run = None
            if entry.run_id is not None:
                run = Run(orchestra, entry.run_id, entry.workflow_id, state=states.get(entry.run_id))
            self._rows.append((entry, run))
        super().__init__(run for _, run in self._rows if run is not None)
        self.unconfirmed = [entry for entry, run in self._rows if run is None]
        self.trouble = trouble

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from ..views import listings  # drawn only when looked at

        rows = [
            (
                self._named(entry.workflow_id),
                entry.sent_at,
                None if run is None else secrecy.state(run.latest, run.hidden),
            )
            for entry, run in self._rows
        ]
        server = settings.named(self._orchestra.base_url)
        return listings.started(rows, self._notes(), empty=f"This computer has started no runs on {server}.")

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self._repr_mimebundle_()["text/plain"])

    def _named(self, workflow_id: str) -> str:
        workflow = self._orchestra.known(workflow_id)
        return workflow.name if workflow else workflow_id

    def _notes(self) -> list[str]:
        notes = [self.trouble] if self.trouble else []
        if self.unconfirmed:
            what = "A start" if len(self.unconfirmed) == 1 else f"{len(self.unconfirmed)} starts"
            notes.append(
                f"{what} had no answer, so it is not known whether there is a run: "
                "`orchestra.reconcile(orchestra.runs().unconfirmed[0])` looks for the newest."
            )
        return notes if self._rows else [*notes, *_elsewhere(self._orchestra.base_url)]


def _elsewhere(server: str) -> list[str]:
    """Return what the journal has on other servers than ``server``, in a sentence for each."""
    counts = Counter(entry.base_url for entry in journal.entries() if entry.base_url != server)
    return [
        f"It has started {'1 run' if count == 1 else f'{count} runs'} on {settings.named(other)}: "
        f"`%orchestra_connect {other}` goes there."
        for other, count in counts.most_common(SERVERS)
    ]


def started(orchestra: Orchestra, limit: int) -> Started:
    """Return the newest ``limit`` starts of this computer on this server; each workflow's history is asked once."""
    server = orchestra.base_url
    entries = [entry for entry in reversed(journal.entries()) if entry.base_url == server][:limit]
    wanted = list(dict.fromkeys(entry.workflow_id for entry in entries if entry.run_id is not None))
    states: dict[str, RunState] = {}
    failures: list[str] = []
    deadline = time.monotonic() + LOOK_SECONDS
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for workflow_id in wanted:
        waiting.put(workflow_id)

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                request = api.history(waiting.get_nowait())
            except queue.Empty:
                return
            try:
                answer = orchestra.ask(request, patience=max(0.05, deadline - time.monotonic()))
                states.update({state.id: state for state in records.run_states(answer.data)})
            except NotFound:  # a workflow that was deleted still had its runs
                continue
            except OrchestraError as error:
                failures.append(str(error))

    jobs = [work] * min(AT_ONCE, len(wanted)) + ([orchestra.glance] if entries else [])
    threads = [threading.Thread(target=job, name="orchestra-runs", daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    found = dict(states)  # what comes later is not for this list
    missing = sum(entry.run_id is not None and entry.run_id not in found for entry in entries)
    why = failures[0] if failures else "The server did not answer within a second, or remembers them no longer."
    return Started(orchestra, entries, found, f"{missing} of unknown status. {why}" if missing else "")
