"""The magics: each asks the client, and returns what shows itself."""

from __future__ import annotations

from argparse import Namespace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, magics_class

from ..errors import OrchestraUsageError
from . import namespace
from .config import OrchestraConfig
from .options import RUN, STARTING, WORKFLOW, cell_options, line_options, option

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.orchestra import Orchestra
    from ..client.preview import Preview
    from ..client.run import Run


@magics_class
class OrchestraMagics(OrchestraConfig, Magics):
    """Run AI workflows of Arcee Orchestra from the notebook."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.last: Run | None = None

    @cached_property
    def orchestra(self) -> Orchestra:
        """The client of this session."""
        from ..client.orchestra import Orchestra  # to load the extension is to load none of this

        return Orchestra()

    @cell_options(WORKFLOW, *STARTING)
    def orchestra_execute(self, options: Namespace, cell: str | None) -> Run | Preview:
        """Start a run of a workflow; the cell's body holds its inputs as YAML or JSON.

        The run goes on in the background: ``run_id`` is bound at once, and the cell's value is the run.
        ``$name`` in the body takes a variable with its type, ``${name}`` stands within longer text.

        Examples::

            %%orchestra_execute hello
            name: Ada

            %%orchestra_execute group-summary --wait -o run
            {"table": "$penguins", "group_by": "species", "value": "body_mass_g"}
        """
        from . import body, start

        start.names_checked(options)
        inputs = body.inputs(options, cell, self.shell.user_ns)
        if options.dry_run:
            return self.orchestra.preview(self._named(options), inputs)
        workflow_id = self._workflow(options)
        start.inputs_checked(self.orchestra, workflow_id, inputs, strict=options.strict)
        self.last = self.orchestra.execute(workflow_id, inputs, reuse=options.reuse)
        return start.bound(self.shell, options, self.last, self.watch)

    @line_options(
        option("workflow", nargs="?", help="Id of the workflow, or its name; without it a choice of all."),
        *STARTING,
        option("--run", action="store_true", help="Start at once, if every required input has a value."),
    )
    def orchestra_form(self, options: Namespace) -> Any:
        """Show the inputs of a workflow as a form with a Run button, and return the form.

        ``--file`` fills it in. The other options hold for the runs that it starts.

        Examples::

            form = %orchestra_form group-summary -o run
            form.set(table="$penguins")

            %orchestra_form hello --file inputs.yaml --run --wait
        """
        from . import prefill, start

        start.names_checked(options)
        return prefill.form(self, options)

    @line_options(option("where", nargs="?", help="`local` for the embedded Orchestra, or the address of a server."))
    def orchestra_connect(self, options: Namespace) -> Any:
        """Choose the server for this session; without an argument say which one it is."""
        from . import connection  # only those who connect need a prompt

        return connection.connect(self.orchestra, options.where)

    @line_options()
    def orchestra_workflows(self, _: Namespace) -> Any:
        """List the workflows of the server."""
        return self.orchestra.workflows()

    @line_options(WORKFLOW)
    def orchestra_workflow(self, options: Namespace) -> Any:
        """Show one workflow: its inputs and its picture."""
        return self.orchestra.workflow(self._workflow(options))

    @line_options(WORKFLOW)
    def orchestra_diagram(self, options: Namespace) -> Any:
        """Show the picture of a workflow."""
        return self.orchestra.diagram(self._workflow(options))

    @line_options(WORKFLOW, option("--limit", type=int, default=20, metavar="N", help="How many runs (default: 20)."))
    def orchestra_history(self, options: Namespace) -> Any:
        """List the runs of a workflow that the server remembers, newest first."""
        return self.orchestra.history(self._workflow(options), limit=options.limit)

    @line_options(option("--limit", type=int, default=20, metavar="N", help="How many runs (default: 20)."))
    def orchestra_runs(self, options: Namespace) -> Any:
        """List the runs that this computer started, newest first, and starts that had no answer."""
        return self.orchestra.runs(limit=options.limit)

    @cell_options(
        option("source", nargs="?", metavar="FILE_OR_NAME", help="A file or $variable; for a cell the name to give."),
        option("--name", metavar="NAME", help="The name to give, for a file (default: the file's)."),
        option("--trust", action="store_true", default=None, help="The code of the file may run as you."),
        option("--no-trust", dest="trust", action="store_false", help="It may run in a sandbox only."),
    )
    def orchestra_upload(self, options: Namespace, cell: str | None) -> Any:
        """Give the server a workflow: the graph in the cell as YAML or JSON, or in a file.

        ``input_data`` says what it takes, ``{{x}}`` stands for a value, and the edges lead from START to END.

        Examples::

            %%orchestra_upload square
            input_data: {x: number}
            nodes:
              squared: {type: code, metadata: {code: "{{x}} ** 2"}}
            edges: [[START, squared], [squared, END]]

            %orchestra_upload daily.yaml --name daily
        """
        from . import upload  # only for those who upload

        return upload.upload(self.orchestra, options, cell, self.shell.user_ns)

    @line_options(*RUN)
    def orchestra_run(self, options: Namespace) -> Run:
        """Come back to a run: the same handle and card, at any time, from anywhere."""
        self.last = self._run(options)
        return self.last.refresh()

    @line_options(*RUN)
    def orchestra_steps(self, options: Namespace) -> Any:
        """List the steps of a run with their inputs, outputs, errors and times."""
        return self._run(options).refresh().steps()

    @line_options(*RUN)
    def orchestra_cancel(self, options: Namespace) -> Run:
        """Ask the server to stop a run."""
        return self._run(options).cancel().refresh()

    def _workflow(self, options: Namespace) -> str:
        """Return the id of the workflow that a line names."""
        return self.orchestra.resolve(self._named(options))

    def _named(self, options: Namespace) -> Any:
        """Return the workflow as the line names it, a variable in its place."""
        return namespace.expanded(options.workflow, self.shell.user_ns, "WORKFLOW")

    def _run(self, options: Namespace) -> Run:
        """Return the run that a line names: by id, by a variable, or the last one of this session."""
        from ..client.run import Run

        if options.run is None:
            if self.last is None:
                raise OrchestraUsageError("No run was started in this session. Give the id of one.")
            return self.last
        named = namespace.expanded(options.run, self.shell.user_ns, "RUN")
        if isinstance(named, Run):
            return named
        if self.last is not None and self.last.id == named:
            return self.last
        return self.orchestra.run(str(named), workflow=options.workflow)
