"""What went wrong in a run, so that a card says each error once and the one that began it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .words import MARKS, fault

if TYPE_CHECKING:
    from ..client.records import Step
    from ..client.snapshot import Snapshot


class Failure(NamedTuple):
    """The error that a run ended with: of which step, empty where that is not known, in which words."""

    node: str
    error: str
    more: str = ""
    """What the run itself says besides, without repeating the error."""


def of(step: Step) -> str:
    """Return what went wrong in a step, or nothing: a server may call one completed whose program failed."""
    return step.error or fault(step.outputs)


def status(step: Step) -> str:
    """Return a step's status as it is shown."""
    good = MARKS.get(step.status) == MARKS["completed"]
    return "errored" if good and of(step) else step.status


def failure(seen: Snapshot) -> Failure | None:
    """Return what a run ended with, None where it went well or says nothing.

    A step that fails for want of another's output repeats the other's error at its end, and so does the run.
    """
    state = seen.state
    if not state.finished or state.succeeded:
        return None
    faults = [(step.node, said) for step in seen.steps if (said := of(step))]
    if state.error is None:
        stopped = MARKS.get(state.status) == MARKS["cancelled"]
        return Failure(*faults[0]) if faults and not stopped else None
    repeated = [(node, said) for node, said in faults if _ends(state.error, said)]
    if not repeated:
        return Failure("", state.error)
    node, error = repeated[0]
    told = {text for name, said in repeated for text in (_bare(said), f"{name}: {_bare(said)}")}
    return Failure(node, error, "" if _bare(state.error) in told else untold(state.error, [error]))


def untold(said: str, told: list[str]) -> str:
    """Return an error without the one at its end that was told already."""
    known = next((each for each in told if _ends(said, each)), None)
    return said if known is None else _bare(said).removesuffix(_bare(known)) + "…"


def _ends(said: str, other: str) -> bool:
    return bool(_bare(other)) and _bare(said).endswith(_bare(other))


def _bare(said: str) -> str:
    return said.strip().rstrip(".")
