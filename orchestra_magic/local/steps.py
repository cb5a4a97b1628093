"""One step: a node is run, and what came of it becomes a record that can be stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from . import references
from .nodes import TYPES, Call, Node, NodeError, NodeType, Outcome
from .values import dumps, now, plain

Record = dict[str, Any]
"""A step as it is stored: key, node, status, started, ended, inputs, output, error, tokens, targets, notes,
and whether the run survived it."""

COMPLETED, FAILED, CANCELLED, RUNNING = "completed", "failed", "cancelled", "running"
_SHOWN_INPUT = 1 << 18
_LONGEST_WAIT = 30.0
_LONGEST_ASKED = 300.0
"""What the other side may ask for; who wants to be asked after an hour is not waited for."""


def begin(node: Node, key: str) -> Record:
    """Return the record of a step that is under way."""
    return {
        "key": key,
        "node": node.name,
        "status": RUNNING,
        "started": now(),
        "ended": None,
        "inputs": {},
        "output": None,
        "error": None,
        "tokens": 0,
        "targets": None,
        "notes": None,
        "survived": False,
    }


def outline(record: Record) -> Record:
    """Return a finished step without what may be large: who wants that finds it in the store."""
    return {key: record[key] for key in ("key", "node", "status", "started")}


class Stop:
    """Ends the steps of a run that are under way; whoever begins a step asks first whether it is set."""

    def __init__(self) -> None:
        self._set = False
        self._steps: set[asyncio.Task[None]] = set()

    def is_set(self) -> bool:
        """Tell whether the run is to stop."""
        return self._set

    def set(self) -> None:
        """End what is under way."""
        if not self._set:  # a second call would cut off what a step does to end
            self._set = True
            for step in self._steps:
                step.cancel()

    @contextlib.contextmanager
    def ending(self, step: asyncio.Task[None]) -> Iterator[None]:
        """End ``step`` when the run is stopped."""
        self._steps.add(step)
        if self._set:
            step.cancel()
        try:
            yield
        finally:
            self._steps.discard(step)


async def run_step(record: Record, call: Call, absent: Mapping[str, str], stop: Stop) -> Record:
    """Run a node to its end, and complete ``record``. Whatever goes wrong is in the record.

    Parameters
    ----------
    record : dict
        From :func:`begin`.
    call : Call
        What to run.
    absent : Mapping[str, str]
        Names that the node could use, were it not for a reason: the name, the reason.
    stop : Stop
        Ends the step as cancelled.
    """
    work = asyncio.create_task(_work(record, call, absent))
    try:
        with stop.ending(work):
            await asyncio.wait({work})
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
    if work.cancelled() and stop.is_set():
        record.update(status=CANCELLED, error="the run was stopped while this step was under way")
    elif work.cancelled():
        record.update(status=FAILED, error="the node gave up: it cancelled itself")
    elif error := work.exception():
        if not isinstance(error, NodeError | references.UnknownReferenceError):
            raise error
        record.update(status=FAILED, error=str(error))
    record["ended"] = now()
    return record


async def _work(record: Record, call: Call, absent: Mapping[str, str]) -> None:
    kind = TYPES[call.node.type]
    try:
        inputs = kind.inputs(call)
        record["inputs"] = {name: _shown(value) for name, value in inputs.items()}
        outcome = await _try(kind, inputs, call)
        record["output"] = plain(outcome.output)
        # A failed code node still has its say: only a later node that wants its results fails by it.
        mapped(kind, call.node, outcome.output, partly=bool(outcome.error))
    except references.UnknownReferenceError as error:
        why = absent.get(references.head(error.path))
        if why:
            raise NodeError(f"{{{{{error.path}}}}} has no value, because {why}") from None
        raise
    record.update(
        status=FAILED if outcome.error else COMPLETED,
        error=outcome.error,
        tokens=outcome.tokens,
        targets=outcome.targets,
        notes=outcome.notes or None,
        survived=True,
    )


async def _try(kind: NodeType, inputs: dict[str, Any], call: Call) -> Outcome:
    """Run a node, and again after a wait that doubles, as often as it allows."""
    asked = call.node.metadata.get("retries")
    retries = kind.retries if asked is None else asked
    attempt = 0
    while True:
        wait = min(0.5 * 2.0**attempt, _LONGEST_WAIT)
        try:
            outcome = await _within_time(kind, inputs, call)
            if not outcome.error or asked is None or attempt >= retries:
                return outcome
        except NodeError as error:
            if attempt >= retries or (asked is None and not error.transient):
                raise
            wait = max(wait, min(error.after or 0.0, _LONGEST_ASKED))
        attempt += 1
        await asyncio.sleep(wait)


async def _within_time(kind: NodeType, inputs: dict[str, Any], call: Call) -> Outcome:
    seconds = call.node.metadata.get("timeout")
    if seconds is None or kind.keeps_time:
        return await kind.run(inputs, call)
    try:
        return await asyncio.wait_for(kind.run(inputs, call), seconds)
    except asyncio.TimeoutError:
        raise NodeError(f"took longer than its timeout of {seconds:g} s", transient=True) from None


def mapped(kind: NodeType, node: Node, output: Any, *, partly: bool = False) -> dict[str, Any]:
    """Return the variables that ``node`` provides, taken from its raw output.

    Parameters
    ----------
    partly : bool
        Leave out what is not there, instead of raising.

    Raises
    ------
    UnknownReferenceError
        If a path of its mapping leads nowhere.
    """
    found = {}
    for name, path in kind.mapping(node).items():
        with contextlib.suppress(*([references.UnknownReferenceError] if partly else [])):
            found[name] = references.look_up(path, output) if path else output
    return found


def _shown(value: Any) -> Any:
    """Return an input as the step keeps it: as it is, or how large it was."""
    size = len(dumps(plain(value)))
    return value if size <= _SHOWN_INPUT else f"({size} bytes, not repeated here)"
