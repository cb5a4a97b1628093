"""The facade: everything that a notebook or a script does with workflows."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, OrchestraConfigError, OrchestraUsageError, RunUnconfirmed, ServerError
from . import api, coming_back, discovery, embedded, journal, records, settings
from .answers import Answer
from .catalog import Catalog
from .journal import Entry
from .keys import Key
from .listing import Runs, Workflows
from .preview import Preview, preview
from .reconcile import reconcile
from .records import Input, RunState
from .run import Run
from .settings import Endpoint
from .started import Started, started
from .starting import Starter
from .values import check_inputs
from .workflow import Workflow, workflow

if TYPE_CHECKING:
    from ..notebook.chooser import Chooser
    from ..notebook.form import Form
    from .diagram import Diagram


class Orchestra:
    """An Orchestra server: hosted, your own, or the embedded one.

    Parameters
    ----------
    base_url : str, optional
        The address up to ``/api/v1/workflow``, or ``"local"`` for the embedded Orchestra, which is started
        when it does not run. Without it: what the notebook chose, else ``ORCHESTRA_BASE_URL``, else the
        hosted service.
    api_key : str, optional
        The key for this address. Without it: ``ORCHESTRA_API_KEY``, else the system keyring.

    Raises
    ------
    OrchestraConfigError
        If the address is none that a key may be sent to. A missing key is an error at the first request.

    Examples
    --------
    >>> from orchestra_magic import Orchestra
    >>> orchestra = Orchestra("local")
    >>> orchestra.execute("hello", {"name": "Ada"}).wait().outputs  # doctest: +SKIP
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        # A key that is given here belongs to the address of this moment, and follows no later choice.
        self._base_url = base_url if api_key is None else settings.address(base_url)
        self._key = None if api_key is None else Key(api_key)
        self._catalog = Catalog(self.workflows)
        self._starter = Starter(self)
        self._secrets: dict[str, frozenset[str]] = {}

    @property
    def base_url(self) -> str:
        """The address in use, ``"local"`` for the embedded Orchestra."""
        return settings.address(self._base_url)

    def workflows(self) -> list[Workflow]:
        """Return all workflows.

        Raises
        ------
        OrchestraConfigError, OrchestraConnectionError, OrchestraAuthError, ServerError
        """
        server = self.base_url
        return self._listed(self.ask(api.workflows()), server)

    def glance(self) -> Sequence[Workflow]:
        """Return the workflows for one who waits at a key: a second at most, and no server is started for it.

        Where the list is not there in time, or cannot be had, this is what was known before.
        """
        try:
            server = self.base_url
        except OrchestraConfigError:
            return ()
        return self._catalog.glance(server, lambda: self._look(server))

    def workflow(self, name: str | Workflow) -> Workflow:
        """Return one workflow by its id or its unique name.

        Raises
        ------
        NotFound, OrchestraUsageError
            If none or several fit.
        """
        if isinstance(name, Workflow):
            return name
        listed = {each.id: each for each in self.current()}
        workflow_id = self._catalog.resolve(name, self.base_url)
        if workflow_id not in listed:
            raise NotFound(f"No workflow has the id {name!r}. `%orchestra_workflows` lists what there is.", status=404)
        return listed[workflow_id]

    def current(self) -> Sequence[Workflow]:
        """Return all workflows, as they were at most 30 s ago."""
        return self._catalog.current(self.base_url)

    def known(self, workflow_id: str) -> Workflow | None:
        """Return a workflow as it was last listed, without asking the server."""
        cached = self._catalog.cached(self.base_url)
        return next((each for each in cached if each.id == workflow_id), None)

    def secret_inputs(self, workflow_id: str) -> frozenset[str]:
        """Return the names of the inputs whose values are shown nowhere, without asking the server."""
        listed = self.known(workflow_id)
        declared = {each.name for each in listed.named_inputs if each.secret} if listed else set()
        return self._secrets.get(workflow_id, frozenset()) | declared

    def keep_secret(self, workflow_id: str, names: Iterable[str]) -> None:
        """Show the values of these inputs nowhere in this session, though the workflow does not say so."""
        self._secrets[workflow_id] = self._secrets.get(workflow_id, frozenset()) | frozenset(names)

    def execute(self, workflow: str | Workflow, inputs: Mapping[str, Any] | None = None, *, reuse: bool = False) -> Run:
        """Start a run.

        Parameters
        ----------
        workflow : str or Workflow
            Its id, or its name where exactly one workflow has it.
        inputs : Mapping, optional
            Input names and values. Numpy, pandas, dataclasses and the like become JSON, or are refused.
        reuse : bool
            Take an earlier run with the same inputs, of this computer and on this server, that is completed
            or still going on, instead of starting another. A run from before the workflow's last update is not taken.

        Returns
        -------
        Run
            At once: the run goes on in the background. Its ``note`` says if an earlier one is like it.

        Raises
        ------
        OrchestraInputError
            If a value cannot be sent; nothing was sent.
        OrchestraConnectionError
            If the server was not reached; nothing was started.
        OrchestraAuthError, NotFound, ServerError
            If the server refused.
        RunUnconfirmed
            If the answer was lost and the history does not say what became of the start. It is never sent twice.

        Examples
        --------
        >>> run = orchestra.execute("workflow-id", {"prompt": "hello"})  # doctest: +SKIP
        """
        values = check_inputs({} if inputs is None else inputs)
        workflow_id = self.resolve(workflow)
        return self._starter.start(workflow_id, values, reuse=reuse)

    def preview(self, workflow: str | Workflow, inputs: Mapping[str, Any] | None = None) -> Preview:
        """Return the exact request that :meth:`execute` would send, sending nothing.

        Raises
        ------
        OrchestraInputError
            If a value cannot be sent.
        """
        values = check_inputs({} if inputs is None else inputs)
        name = workflow.id if isinstance(workflow, Workflow) else workflow
        workflow_id = self._catalog.guess(name, self.base_url)
        notes = [] if workflow_id else [f"The id of {name!r} would be looked up first."]
        request = api.execute(workflow_id or name, values, idempotency_key=str(uuid.uuid4()))
        return preview(request, self.base_url, *notes)

    def reconcile(self, unconfirmed: RunUnconfirmed | Entry) -> Run:
        """Look once more for a run whose start was not confirmed.

        Parameters
        ----------
        unconfirmed : RunUnconfirmed or Entry
            The error; or a start of the journal, as in ``orchestra.runs().unconfirmed``.

        Raises
        ------
        RunUnconfirmed
            If it is still not known.

        Examples
        --------
        >>> run = orchestra.reconcile(orchestra.runs().unconfirmed[0])  # doctest: +SKIP
        """
        lost = unconfirmed
        noted = next((entry for entry in journal.entries() if entry.key == lost.key), None)
        if noted is not None and noted.run_id is not None:
            return Run(self, noted.run_id, noted.workflow_id)
        inputs = None if isinstance(lost, Entry) else lost.inputs
        if noted is not None and inputs is not None and journal.digest(inputs) != noted.digest:
            inputs = None  # an error that came of an entry: the journal has no inputs, but their digest
        return reconcile(
            self,
            lost.workflow_id,
            inputs,
            key=lost.key,
            sent_at=lost.sent_at,
            why="The answer was lost.",
            digest=noted.digest if noted is not None else lost.digest if isinstance(lost, Entry) else None,
        )

    def run(self, run_id: str, *, workflow: str | Workflow | None = None) -> Run:
        """Return the handle of a run again, at any time and anywhere.

        Parameters
        ----------
        run_id : str
            For a run that this computer started, its first 8 characters suffice.
        workflow : str or Workflow, optional
            The run's workflow. Without it the journal of this computer is asked, then each workflow once.

        Raises
        ------
        NotFound
            If no workflow has this run, or it was started on another server.
        """
        return coming_back.run(self, run_id, workflow)

    def history(self, workflow: str | Workflow, *, limit: int = 100, offset: int = 0) -> list[Run]:
        """Return the runs of a workflow, newest first.

        Parameters
        ----------
        workflow : str or Workflow
        limit, offset : int
            How many runs, and how many newer ones to pass over.
        """
        workflow_id = self.resolve(workflow)
        found = self.states(workflow_id, limit=limit, offset=offset)
        return Runs(Run(self, state.id, workflow_id, state=state) for state in found)

    def states(self, workflow_id: str, *, limit: int = 100, offset: int = 0) -> list[RunState]:
        """Return the states of a workflow's runs, newest first."""
        return records.run_states(self.ask(api.history(workflow_id, limit=limit, offset=offset)).data)

    def runs(self, *, limit: int = 100) -> Started:
        """Return the runs that this computer started on this server, newest first, with their states.

        The journal says which they are; each workflow's history is asked once for how they are, for a second at
        most. ``.unconfirmed`` of the list are the starts that had no answer.

        Parameters
        ----------
        limit : int
            How many starts.
        """
        return started(self, limit)

    def diagram(self, workflow: str | Workflow) -> Diagram:
        """Return the picture of a workflow: ``.mermaid``, ``.svg``, ``.save(path)``."""
        from .diagram import Diagram  # drawn only when asked for

        workflow_id = self.resolve(workflow)
        answer = self.ask(api.diagram(workflow_id))
        said = answer.data.get("diagram") if isinstance(answer.data, Mapping) else None
        mermaid = said if isinstance(said, str) else ""
        listed = self.known(workflow_id)
        if listed is not None and listed.graph.get("nodes"):
            return Diagram.from_graph(listed.graph, mermaid)
        return Diagram.from_mermaid(mermaid)

    def upload(self, graph: Mapping[str, Any], *, name: str | None = None, trusted: bool = True) -> Workflow:
        """Give the server a new workflow, and return it as listed.

        Parameters
        ----------
        graph : Mapping
            The workflow JSON.
        name : str, optional
        trusted : bool
            Whether its code nodes may run as you. Say False for a graph that you did not write.

        Raises
        ------
        ServerError
            If the graph has faults (all are named), or the server takes no uploads.
        """
        answer = self.ask(api.upload(graph, name=name, trusted=trusted))
        self._catalog.forget()
        return workflow(answer.data if isinstance(answer.data, Mapping) else {}, self._seen_inputs)

    def cancel(self, run: Run) -> None:
        """Ask the server to stop a run.

        Raises
        ------
        OrchestraUsageError
            If the server has no way to cancel.
        """
        try:
            self.ask(api.cancel(run.workflow_id, run.id))
        except NotFound:
            raise OrchestraUsageError(
                f"This server cannot cancel runs; run {run.short_id} goes on. Stop waiting for it instead."
            ) from None

    def form(
        self, workflow: str | Workflow | None = None, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> Form | Chooser:
        """Show the inputs of a workflow as a form, in a notebook.

        Parameters
        ----------
        workflow : str or Workflow, optional
            Without it, the form offers a choice of all workflows first.
        inputs : Mapping, optional
            What to fill in; a text that is exactly ``$name`` is a variable of the notebook.
        **options
            As :class:`~orchestra_magic.notebook.form.Form` takes them: ``fields`` changes fields, ``auto``
            starts a run at once, ``out`` names a variable for the run.

        Raises
        ------
        OrchestraUsageError
            Where there is no notebook to show it in.

        Examples
        --------
        >>> orchestra.form("summarise", fields={"text": "long text", "token": "secret"})  # doctest: +SKIP
        """
        from ..notebook.form import form  # the one way up: only for those who call it

        return form(self, workflow, inputs, **options)

    def resolve(self, workflow: str | Workflow) -> str:
        """Return the id of a workflow that is given by id, unique name or as an object."""
        return workflow.id if isinstance(workflow, Workflow) else self._catalog.resolve(workflow, self.base_url)

    def endpoint(self, *, revive: bool = True) -> Endpoint:
        """Return where to send now, with which key: the ladder of the settings, climbed anew."""
        return settings.resolve(self._base_url, self._key, revive=revive)

    def ask(self, request: api.Request, *, patience: float | None = None) -> Answer:
        """Send a request that starts nothing, waiting ``patience`` seconds at most where that is given."""
        from . import transport  # requests is loaded when something is sent

        endpoint = self.endpoint(revive=not request.follows)
        if patience is not None:
            endpoint = dataclasses.replace(endpoint, connect_timeout=patience, read_timeout=patience)
        return transport.send(request, endpoint)

    def _look(self, server: str) -> None:
        """Fetch the list of workflows from a server that runs."""
        from . import transport  # requests is loaded when something is sent

        if server == settings.LOCAL and embedded.find() is None:
            return
        # Said to be any server, for the embedded one is started when it does not answer.
        endpoint = dataclasses.replace(self.endpoint(revive=False), embedded=False)
        answer = transport.send(api.workflows(), endpoint)
        if server == self.base_url:  # the notebook may have turned to another meanwhile
            self._listed(answer, server)

    def _listed(self, answer: Answer, server: str) -> list[Workflow]:
        if not isinstance(answer.data, list):
            raise ServerError(f"{server} answered the list of workflows with something that is no list.")
        found = Workflows(workflow(item, self._seen_inputs) for item in answer.data if isinstance(item, Mapping))
        self._catalog.put(found, server)
        return found

    def _seen_inputs(self, workflow_id: str) -> tuple[Input, ...]:
        return discovery.from_history(run.latest.inputs for run in self.history(Workflow(workflow_id), limit=20))

    def __repr__(self) -> str:
        return f"Orchestra({self.base_url!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A key stays in its process: the other side finds its own by the ladder.
        return {"base_url": self._base_url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["base_url"])  # type: ignore[misc]
