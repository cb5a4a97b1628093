"""From an id to the handle of a run: the journal is asked first, and the server then."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..errors import NotFound, OrchestraError, ServerError
from . import journal, settings
from .run import Run

if TYPE_CHECKING:
    from .orchestra import Orchestra
    from .workflow import Workflow


def run(orchestra: Orchestra, run_id: str, workflow: str | Workflow | None) -> Run:
    """Return the handle of a run, as :meth:`Orchestra.run` has it."""
    journaled = journal.find(run_id, orchestra.base_url)
    if journaled is None and (elsewhere := journal.find_elsewhere(run_id, orchestra.base_url)):
        return _moved(orchestra, *elsewhere)
    if workflow is not None:
        return Run(orchestra, run_id, orchestra.resolve(workflow))
    if journaled is not None:
        return Run(orchestra, *journaled)
    for each in orchestra.current():
        found = Run(orchestra, run_id, each.id)
        with contextlib.suppress(NotFound, ServerError):
            if _is_known(found):
                return found
    raise NotFound(
        f"No workflow has a run {run_id}. If its workflow is not listed any more, name it by --workflow.",
        status=404,
    )


def _moved(orchestra: Orchestra, server: str, run_id: str, workflow_id: str) -> Run:
    """Return a run that was started on another server, if this one has it too: a server may change its address."""
    found = Run(orchestra, run_id, workflow_id)
    with contextlib.suppress(OrchestraError):  # also that there is no key: none is needed to say where the run is
        if _is_known(found):
            return found
    raise NotFound(
        f"Run {found.short_id} was started on {settings.named(server)}, and this is "
        f"{settings.named(orchestra.base_url)}. Type `%orchestra_connect {server}` first."
    )


def _is_known(found: Run) -> bool:
    state = found.refresh().latest
    return state.started_at is not None or state.status != "unknown"
