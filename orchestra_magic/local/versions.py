"""The graphs of stored workflows, read and checked once: to start a run takes neither the disk nor the check again."""

from __future__ import annotations

from collections import OrderedDict

from .graph import Graph, read_graph
from .store import Store
from .values import loads

_KEPT = 128


class Versions:
    """Every version of every workflow in ``store``, as graphs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: OrderedDict[tuple[str, int], tuple[Graph, bool]] = OrderedDict()

    async def current(self, workflow_id: str) -> tuple[int, Graph]:
        """Return the current version of a workflow, and its graph.

        Raises
        ------
        LookupError
            If there is no such workflow, or none any more.
        """
        version = self._store.current(workflow_id)
        if version is None:
            raise LookupError(f"there is no workflow {workflow_id}")
        graph, _ = await self.graph(workflow_id, version)
        return version, graph

    async def graph(self, workflow_id: str, version: int) -> tuple[Graph, bool]:
        """Return a version of a workflow, and whether its code is trusted.

        Raises
        ------
        LookupError
            If there is no such version.
        """
        asked = workflow_id, version
        found = self._read.get(asked)
        if found is None:
            row = await self._store.version(workflow_id, version)
            if row is None:
                raise LookupError(f"version {version} of workflow {workflow_id} is gone")
            found = self._read[asked] = read_graph(loads(row["document"])), bool(row["trusted"])
            if len(self._read) > _KEPT:
                self._read.popitem(last=False)
        self._read.move_to_end(asked)
        return found
