"""The list of workflows, kept for a while: for names, input checks, pictures and completion."""

from __future__ import annotations

import contextlib
import difflib
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence

from ..errors import NotFound, OrchestraUsageError
from .workflow import Workflow

log = logging.getLogger("orchestra_magic")

FRESH_SECONDS = 30.0
GLANCE_SECONDS = 1.0
"""How long typing may be held up by a server that is slow."""
PAUSE_SECONDS = 5.0
"""How long a look that came to nothing is not repeated."""
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Catalog:
    """The workflows of one server, fetched by ``load`` when they are needed and not fresh."""

    def __init__(self, load: Callable[[], Sequence[Workflow]]) -> None:
        self._load = load
        self._server = ""
        self._loaded = float("-inf")
        self._workflows: Sequence[Workflow] = ()
        self._look: threading.Thread | None = None
        self._looked = ("", float("-inf"))

    def put(self, workflows: Sequence[Workflow], server: str) -> None:
        """Take a list that was just fetched from ``server``."""
        self._workflows, self._server, self._loaded = workflows, server, time.monotonic()

    def forget(self) -> None:
        """Have the list fetched anew at the next need: it has changed."""
        self._workflows = ()
        self._loaded = float("-inf")
        self._looked = ("", float("-inf"))

    def cached(self, server: str) -> Sequence[Workflow]:
        """Return what is known of ``server`` without asking it, however old."""
        return self._workflows if server == self._server else ()

    def current(self, server: str) -> Sequence[Workflow]:
        """Return the list of ``server``, at most 30 s old."""
        if not self._fresh(server):
            self._load()
        return self._workflows

    def glance(self, server: str, look: Callable[[], object]) -> Sequence[Workflow]:
        """Return the list of ``server`` for one who waits at a key: a second at most, and nothing is raised.

        ``look`` fetches and puts it. It runs in a thread, since no timeout of a connection bounds the look-up
        of a name or of a key. Where it takes longer, its list is there for the next glance.
        """
        if self._fresh(server):
            return self._workflows
        under_way = self._look is not None and self._look.is_alive()
        before, begun = self._looked
        if before != server or (not under_way and time.monotonic() - begun > PAUSE_SECONDS):
            self._looked = (server, begun := time.monotonic())
            self._look = threading.Thread(target=_quietly, args=(look,), name="orchestra-glance", daemon=True)
            with contextlib.suppress(RuntimeError):  # where there are no threads, there is what is known
                self._look.start()
        if self._look is not None and self._look.is_alive():
            self._look.join(max(0.0, begun + GLANCE_SECONDS - time.monotonic()))
        return self.cached(server)

    def _fresh(self, server: str) -> bool:
        return server == self._server and time.monotonic() - self._loaded <= FRESH_SECONDS

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


def _quietly(look: Callable[[], object]) -> None:
    try:
        look()
    except Exception as error:  # noqa: BLE001  (who only glances is told nothing)
        log.debug("no list of workflows for completion: %s", type(error).__name__)
