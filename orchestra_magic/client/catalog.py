"""The list of workflows, kept for a while: for names, input checks, pictures and completion."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Sequence

from ..errors import NotFound, OrchestraUsageError
from .workflow import Workflow

FRESH_SECONDS = 30.0
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Catalog:
    """The workflows of one server, fetched by ``load`` when they are needed and not fresh."""

    def __init__(self, load: Callable[[], Sequence[Workflow]]) -> None:
        self._load = load
        self._server = ""
        self._loaded = float("-inf")
        self._workflows: Sequence[Workflow] = ()

    def put(self, workflows: Sequence[Workflow], server: str) -> None:
        """Take a list that was just fetched from ``server``."""
        self._workflows, self._server, self._loaded = workflows, server, time.monotonic()

    def forget(self) -> None:
        """Have the list fetched anew at the next need: it has changed."""
        self._loaded = float("-inf")

    def cached(self, server: str) -> Sequence[Workflow]:
        """Return what is known of ``server`` without asking it, however old."""
        return self._workflows if server == self._server else ()

    def current(self, server: str) -> Sequence[Workflow]:
        """Return the list of ``server``, at most 30 s old."""
        if server != self._server or time.monotonic() - self._loaded > FRESH_SECONDS:
            self._load()
        return self._workflows

    def guess(self, name: str, server: str) -> str | None:
        """Return the id that ``name`` means as far as that is known without asking, else None."""
        if _UUID.fullmatch(name):
            return name
        ids = [each.id for each in self.cached(server) if name in {each.id, each.name}]
        return ids[0] if len(ids) == 1 else None

    def resolve(self, name: str, server: str) -> str:
        """Return the id that ``name`` means: itself, or that of the one workflow with this name.

        Raises
        ------
        NotFound
            If no workflow has this id or name; near ones are named.
        OrchestraUsageError
            If several have the name; their ids are listed.
        """
        if _UUID.fullmatch(name):
            return name
        workflows = self.current(server)
        if any(workflow.id == name for workflow in workflows):
            return name
        ids = [workflow.id for workflow in workflows if workflow.name == name]
        if len(ids) == 1:
            return ids[0]
        if ids:
            raise OrchestraUsageError(f"{len(ids)} workflows are named {name!r}. Use one of the ids: {', '.join(ids)}.")
        known = [word for workflow in workflows for word in (workflow.name, workflow.id)]
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else " `%orchestra_workflows` lists what there is."
        raise NotFound(f"No workflow has the id or name {name!r}.{hint}", status=404)
