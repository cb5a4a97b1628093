"""The line of ``%orchestra_form``: what its options mean for the form."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraUsageError
from . import body, namespace, watching

if TYPE_CHECKING:
    from .magics import OrchestraMagics


def form(magics: OrchestraMagics, options: argparse.Namespace) -> Any:
    """Return the form that a line asks for; with ``--run --wait`` when its run is over.

    Raises
    ------
    OrchestraInputError, OrchestraUsageError
        If the options are not what a form can do.
    """
    waits = options.wait or options.timeout is not None
    if waits and not (options.run and options.workflow):
        raise OrchestraUsageError("--wait waits for a run: give --run and a workflow, too. Nothing was sent.")
    inputs = body.read_file(options.file, "--file", options.format) if options.file is not None else None
    word = options.workflow
    workflow = namespace.expanded(word, magics.shell.user_ns, "WORKFLOW") if word is not None else None
    made = magics.orchestra.form(
        workflow,
        inputs,
        auto=options.run,
        run_id=options.run_id,
        out=options.out,
        outputs=options.outputs,
        strict=options.strict,
        raw=options.raw,
        reuse=options.reuse,
        dry_run=options.dry_run,
        watch=not options.quiet and watching.mode(magics.shell, magics.watch) != "off",
    )
    if waits and not options.dry_run:
        made.run.wait(options.timeout)
    return made
