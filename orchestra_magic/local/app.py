"""The routes: the documented ones, and those of our own that the contract leaves room for."""

from __future__ import annotations

import logging
import re
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from . import history
from .answers import diagram_answer, run_document, step_answer, workflow_answer
from .database import DataError
from .graph import Fault, GraphError, read_graph
from .json_http import JSON, read_body
from .knowledge.routes import KnowledgeRoutes
from .openapi import describe
from .patience import is_full
from .security import Guard
from .store import DeletedError, KeyReusedError, NameTakenError
from .values import dumps

if TYPE_CHECKING:
    from .knowledge.bases import Bases
    from .runs import Runs, View
    from .store import Store
    from .versions import Versions

BASE = "/api/v1/workflow"
LONGEST_WAIT = 60.0
_ALL = 1 << 62  # more than there can be, and SQLite takes it
_EVER = 1_000_000  # days
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d+(?:\.\d+)?)", re.IGNORECASE)
_log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]


class Routes:
    """Answers every route.

    Parameters
    ----------
    store : Store
        The workflows.
    versions : Versions
        Their graphs.
    runs : Runs
        The runs.
    bases : Bases
        The knowledge bases.
    status : Callable[[], Mapping[str, Any]]
        Says what ``GET /status`` shows.
    """

    def __init__(
        self,
        store: Store,
        versions: Versions,
        runs: Runs,
        bases: Bases,
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._store = store
        self._versions = versions
        self._runs = runs
        self._knowledge = KnowledgeRoutes(bases)
        self._status = status

    def close(self) -> None:
        """Let those who wait for an answer go."""
        self._runs.close()
        self._knowledge.close()

    def table(self) -> list[Route]:
        """Return every route."""
        one, run = "/workflows/{workflow_id}", "/workflows/{workflow_id}/runs/{run_id}"
        rows: list[tuple[str, str, Endpoint]] = [
            ("GET", "/workflows", self.list_workflows),
            ("POST", "/workflows", self.upload),
            ("GET", one, self.get_workflow),
            ("PUT", one, self.update),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/diagram", self.diagram),
            ("POST", f"{one}/execute", self.execute),
            ("GET", f"{one}/runs", self.history),
            ("GET", run, self.get_run),
            ("GET", f"{run}/steps", self.steps),
            ("POST", f"{run}/cancel", self.cancel),
            *self._knowledge.rows(),
        ]
        routes = [Route(BASE + path, endpoint, methods=[method]) for method, path, endpoint in rows]
        return [
            *routes,
            Route("/status", self.status, methods=["GET"]),
            Route("/prune", self.prune, methods=["POST"]),
            Route("/openapi.json", self.describe, methods=["GET"]),
        ]

    async def status(self, request: Request) -> Response:
        """Say how the server is."""
        del request
        return JSON(self._status())

    async def prune(self, request: Request) -> Response:
        """Delete finished runs: those older than ``days``, and all but the newest ``keep`` of each workflow."""
        asked = await read_body(request)
        numbers = {name: asked[name] for name in ("days", "keep") if name in asked} if isinstance(asked, dict) else {}
        if not numbers or not all(_is_amount(value) for value in numbers.values()):
            raise HTTPException(400, "say days, keep or both, each a number, 0 or more")
        days, keep = numbers.get("days"), numbers.get("keep")
        if keep is not None and keep != int(keep):
            raise HTTPException(400, "keep is a whole number: how many runs of each workflow stay")
        return JSON(
            {
                "pruned": await self._runs.prune(
                    days=None if days is None else min(days, _EVER), keep=None if keep is None else min(int(keep), _ALL)
                )
            }
        )

    async def describe(self, request: Request) -> Response:
        """Describe the routes as OpenAPI."""
        del request
        return JSON(describe(self.table()))

    async def list_workflows(self, request: Request) -> Response:
        """List every workflow."""
        del request
        return JSON([workflow_answer(row) for row in await self._store.workflows()])

    async def get_workflow(self, request: Request) -> Response:
        """Return one workflow."""
        return JSON(workflow_answer(await self._workflow(request)))

    async def upload(self, request: Request) -> Response:
        """Store a graph, bare or as ``{"name", "graph", "trusted"}``. A name that is there gets a new version."""
        return await self._save(request, None)

    async def update(self, request: Request) -> Response:
        """Store a new version of a workflow. Runs under way keep theirs."""
        return await self._save(request, (await self._workflow(request))["workflow_id"])

    async def _save(self, request: Request, workflow_id: str | None) -> Response:
        name, graph, trusted = _read_upload(await read_body(request, stored=True), named=workflow_id is not None)
        try:
            return JSON(workflow_answer(await self._store.save(workflow_id, name, graph, trusted=trusted)))
        except DeletedError:
            raise await self._unknown(str(workflow_id)) from None
        except NameTakenError as error:
            said = f"workflow {error.workflow_id} is called {name!r} already: choose another name, or update that one"
            raise HTTPException(409, said) from None

    async def delete(self, request: Request) -> Response:
        """Take a workflow out of the list; return it as it was. Its runs stay."""
        workflow_id = request.path_params["workflow_id"]
        row = await self._store.delete(workflow_id)
        if row is None:
            raise await self._unknown(workflow_id)
        return JSON({**workflow_answer(row), "status": "inactive"})

    async def diagram(self, request: Request) -> Response:
        """Return the picture of a workflow."""
        row = await self._workflow(request)
        graph, _ = await self._versions.graph(row["workflow_id"], row["version"])
        return JSON(diagram_answer(graph))

    async def execute(self, request: Request) -> Response:
        """Start a run."""
        workflow_id = request.path_params["workflow_id"]
        inputs = await read_body(request, stored=True)
        if not isinstance(inputs, dict):
            raise HTTPException(400, "the body is to be a JSON object: the names of inputs are its keys")
        key = request.headers.get("idempotency-key")
        if key is not None and not key.strip():
            raise HTTPException(400, "the Idempotency-Key is empty: send one that is this run's alone, or none")
        try:
            run_id = await self._runs.accept(workflow_id, inputs, key)
        except LookupError:
            raise await self._unknown(workflow_id) from None
        except KeyReusedError:
            raise HTTPException(422, "this Idempotency-Key was used for other inputs or another workflow") from None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return JSON({"message": "Workflow execution started", "run_id": run_id})

    async def history(self, request: Request) -> Response:
        """Return the runs of a workflow, the newest first."""
        row = await self._workflow(request, deleted=True)
        limit, offset = _number(request, "limit", 100), _number(request, "offset", 0)
        return await history.answer(self._store, self._runs, row["workflow_id"], limit, offset)

    async def get_run(self, request: Request) -> Response:
        """Return one run, in a list. With ``Prefer: wait`` the answer is held until there is something new."""
        view = await self._view(request)
        wait = _WAIT.search(request.headers.get("prefer", ""))
        tag = request.headers.get("if-none-match")
        headers: dict[str, str] = {}
        if wait:
            seconds = min(float(wait.group(1)), LONGEST_WAIT)
            waited = await self._runs.wait(view.row["run_id"], tag, seconds)
            view = waited or view
            headers["Preference-Applied"] = "wait"
        headers.update({"ETag": view.tag, "Cache-Control": "no-store"})
        if tag == view.tag:
            return Response(status_code=304, headers=headers)
        document = f"[{run_document(view.row, view.status, view.node_outputs)}]"
        return Response(document, headers=headers, media_type=JSON.media_type)

    async def steps(self, request: Request) -> Response:
        """Return the steps of a run."""
        view = await self._view(request)
        return JSON([step_answer(view, record) for record in await self._runs.steps(view)])

    async def cancel(self, request: Request) -> Response:
        """Stop a run."""
        view = await self._view(request)
        if await self._runs.cancel(view.row["run_id"]):
            return JSON({"message": "Workflow execution cancelled"})
        now = await self._view(request)
        return JSON({"message": f"Workflow execution had already ended: {now.status}"})

    async def _workflow(self, request: Request, *, deleted: bool = False) -> sqlite3.Row:
        workflow_id = request.path_params["workflow_id"]
        row = await self._store.workflow(workflow_id)
        if row is None or (row["deleted"] and not deleted):
            raise await self._unknown(workflow_id)
        return row

    async def _unknown(self, workflow_id: str) -> HTTPException:
        named = await self._store.id_of_name(workflow_id)
        hint = "" if named is None else f"; it is the name of one whose id is {named}: use that"
        return HTTPException(404, f"there is no workflow {workflow_id}{hint}")

    async def _view(self, request: Request) -> View:
        workflow_id, run_id = request.path_params["workflow_id"], request.path_params["run_id"]
        view = await self._runs.view(run_id)
        if view is None or view.row["workflow_id"] != workflow_id:
            raise HTTPException(404, f"workflow {workflow_id} has no run {run_id}")
        return view


def build(routes: Routes, token: str, used: Callable[[], None]) -> Guard:
    """Return the whole application, behind its guard. ``used`` hears of every request that may pass."""
    table = routes.table()
    app = Starlette(
        routes=table,
        exception_handlers={
            HTTPException: _http_error,
            405: _allow(table),
            GraphError: _graph_error,
            DataError: _data_error,
            sqlite3.DatabaseError: _disk_error,
            Exception: _fault,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, token, used)


def _allow(table: list[Route]) -> Callable[[Request, Any], Awaitable[Response]]:
    """Return the answer to a method that a path does not take: it names those of all routes with that path."""

    async def answer(request: Request, error: Any) -> Response:
        methods = {
            name for route in table if route.matches(request.scope)[0] is not Match.NONE for name in route.methods or ()
        }
        return JSON({"detail": error.detail}, 405, headers={"Allow": ", ".join(sorted(methods))})

    return answer


async def _http_error(_request: Request, error: Any) -> Response:
    return JSON({"detail": error.detail}, error.status_code, headers=error.headers)


async def _graph_error(_request: Request, error: Any) -> Response:
    return JSON({"detail": [vars(fault) for fault in error.faults]}, 400)


async def _data_error(_request: Request, error: Exception) -> Response:
    _log.error("data that cannot be used: %s", error)
    return JSON({"detail": str(error)}, 500)


async def _disk_error(request: Request, error: Exception) -> Response:
    _log.error("the disk refused: %s", error)
    if is_full(error):
        undone = "started" if request.scope["endpoint"].__name__ == "execute" else "changed"
        detail = f"the server could not write to its disk ({error}); nothing was {undone}. Make room on it"
        return JSON({"detail": detail}, 507)
    return JSON({"detail": f"the server's data cannot be used ({error}); `orchestra-local logs` says more"}, 500)


async def _fault(_request: Request, error: Exception) -> Response:
    _log.error("a fault of the server", exc_info=error)
    return JSON({"detail": f"a fault of the server, see its log: {type(error).__name__}: {error}"}, 500)


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, str(default))
    if not (given.isascii() and given.isdigit()):
        raise HTTPException(400, f"{name} is a whole number, 0 or more")
    return min(int(given), _ALL) if len(given) < 20 else _ALL  # Python reads no number that is too long


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _read_upload(body: Any, *, named: bool) -> tuple[str | None, Any, bool | None]:
    """Return name, graph and trust of an upload, None for what it does not say; a workflow not ``named`` gets a name.

    Raises
    ------
    GraphError
        If the graph cannot be run, or what stands beside it is unknown.
    """
    said: dict[str, Any] = body if isinstance(body, dict) else {}
    wrapped = "graph" in said and "nodes" not in said
    graph = body
    faults: list[Fault] = []
    if wrapped:
        graph = said["graph"]
        unknown = "an upload holds graph, name and trusted, and nothing else"
        faults += [Fault(None, member, unknown) for member in said if member not in ("graph", "name", "trusted")]
        if isinstance(graph, dict) and "trusted" in graph and said.get("trusted") is None:
            faults.append(Fault(None, "graph.trusted", "trusted stands beside the graph and not in it"))
    elif "trusted" in said:
        # It is about this upload. Stored with the graph, it would be in one that is sent again with other trust.
        graph = {member: value for member, value in said.items() if member != "trusted"}
    try:
        read_graph(graph)
    except GraphError as error:
        faults += error.faults
    name, trusted = said.get("name"), said.get("trusted")
    if name is not None and not (isinstance(name, str) and name.strip()):
        faults.append(Fault(None, "name", "the name of a workflow is text"))
    if not isinstance(trusted, bool | None):
        faults.append(Fault(None, "trusted", "trusted is true or false"))
    if faults:
        raise GraphError(faults)
    if name is None and not named:
        # An upload without a name gets the same one each time it comes, so that a cell can be run again.
        name = f"graph-{uuid.uuid5(uuid.NAMESPACE_OID, dumps(graph)).hex[:8]}"
    return name, graph, trusted
