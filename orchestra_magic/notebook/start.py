"""From options and inputs to a run: bind the names, wait if that was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..client import checks
from ..client.snapshot import snapshot
from ..errors import OrchestraInputError, OrchestraUsageError, RunFailed
from ..views import card
from . import namespace, watching

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.orchestra import Orchestra
    from ..client.run import Run


def names_checked(options: argparse.Namespace) -> None:
    """Raise if a name that a run is to be bound to is none. Nothing was sent yet."""
    given = {"--run-id": options.run_id, "--out": options.out, "--outputs": options.outputs}
    taken: dict[str, str] = {}
    for option, name in given.items():
        if name is None:
            continue
        namespace.checked(name, option)
        if name in taken:
            raise OrchestraUsageError(f"{taken[name]} and {option} both bind {name}. Give two names; nothing was sent.")
        taken[name] = option


def inputs_checked(orchestra: Orchestra, workflow_id: str, inputs: Mapping[str, Any], *, strict: bool) -> None:
    """Warn of inputs that are missing or misspelt, or raise with ``strict``."""
    workflow = orchestra.workflow(workflow_id) if strict else orchestra.known(workflow_id)
    faults = [] if workflow is None else checks.faults(workflow.named_inputs, inputs)
    if faults and strict:
        raise OrchestraInputError(f"{' '.join(faults)} Nothing was sent.")
    for fault in faults:
        namespace.notice(f"{fault} It is sent as it is; --strict stops at this.")


def bound(shell: InteractiveShell, options: argparse.Namespace, run: Run, watch: str) -> Run:
    """Bind the names that the options ask for, show the run, wait where they ask for that, and return it.

    The names are bound first: a run that was paid for is never out of reach, even if the wait fails.
    """
    namespace.bind(shell, {options.run_id: run.id} | ({options.out: run} if options.out else {}))
    how = watching.mode(shell, watch)
    waits = bool(options.wait or options.outputs or how == "wait")
    if options.quiet:
        watching.hush(shell, run)
        shown = None
    else:
        shown = watching.show(shell, run, how, waits=waits)
    try:
        if waits:
            run.wait(options.timeout, told=shown.update if shown else None)
    except RunFailed as error:
        if isinstance(shown, watching.Card):
            error.brief = card.brief(snapshot(run, look=False))
        raise
    finally:
        if shown is not None:
            shown.leave()
    if options.outputs:
        namespace.bind(shell, {options.outputs: run.outputs})
    return run
