"""All that a card shows of a run, gathered with at most one short look at the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError
from .records import RunState, Step

if TYPE_CHECKING:
    from .run import Run


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, complete by itself.

    ``graph`` is empty where it is not known; ``note`` and ``trouble`` are sentences or empty.
    """

    state: RunState
    workflow_id: str
    workflow_name: str
    steps: tuple[Step, ...]
    graph: Mapping[str, Any]
    reattach: str
    age: float | None = None
    note: str = ""
    trouble: str = ""


def snapshot(run: Run, *, look: bool = True) -> Snapshot:
    """Return what is known of ``run``; with ``look`` after asking the server where it was never asked.

    A server that does not answer leaves a mark and no error: what is shown must not fail.
    """
    trouble = run.trouble or ""
    if look and not run.latest.finished:
        try:
            run.refresh()
        except OrchestraError as error:
            trouble = str(error)
    workflow = run.orchestra.known(run.workflow_id)
    return Snapshot(
        state=run.latest,
        workflow_id=run.workflow_id,
        workflow_name=workflow.name if workflow else "",
        steps=tuple(_steps(run)) if look else tuple(run.known_steps or ()),
        graph=workflow.graph if workflow else {},
        reattach=run.reattach,
        age=run.age,
        note=run.note,
        trouble=trouble,
    )


def _steps(run: Run) -> list[Step]:
    try:
        return run.steps()
    except OrchestraError:
        return []
