"""A workflow as the server lists it, with its inputs and its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError
from . import discovery
from .records import Input, graph_of, moment

if TYPE_CHECKING:
    from .diagram import Diagram


@dataclass(frozen=True)
class Workflow:
    """One workflow.

    Attributes
    ----------
    id, name, description, status : str
    graph : Mapping
        The workflow JSON: nodes, edges and what else the server gave.
    created_at, updated_at : datetime or None
        In UTC.
    version : Any
        As the server counts.
    """

    id: str
    name: str = ""
    description: str = ""
    status: str = ""
    graph: Mapping[str, Any] = field(default_factory=dict, repr=False)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: Any = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    earlier: Callable[[], tuple[Input, ...]] | None = field(default=None, repr=False, compare=False)
    """Asks the history for inputs, where the graph names none."""

    @cached_property
    def named_inputs(self) -> tuple[Input, ...]:
        """The inputs that the graph itself names, without asking the server."""
        return discovery.from_graph(self.graph)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, from the first source that names any (see :mod:`orchestra_magic.client.discovery`)."""
        return self.named_inputs if self.named_inputs or self.earlier is None else self.earlier()

    @property
    def diagram(self) -> Diagram:
        """The picture, drawn from the graph."""
        from .diagram import Diagram  # drawn only when looked at

        return Diagram.from_graph(self.graph)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from ..views import listings  # drawn only when looked at

        try:
            inputs = self.inputs
        except OrchestraError:  # what is shown must not fail: the history may be out of reach
            inputs = self.named_inputs
        return {"text/plain": listings.workflow_text(self, inputs), "text/html": listings.workflow_html(self, inputs)}


def workflow(data: Mapping[str, Any], earlier: Callable[[str], tuple[Input, ...]] | None = None) -> Workflow:
    """Read one workflow of a list."""
    graph = graph_of(data.get("graph"))
    workflow_id = str(data.get("workflow_id") or data.get("id") or "")
    return Workflow(
        id=workflow_id,
        name=str(data.get("name") or workflow_id),
        description=str(data.get("description") or graph.get("description") or ""),
        status=str(data.get("status") or ""),
        graph=graph,
        created_at=moment(data.get("created_at")),
        updated_at=moment(data.get("updated_at")),
        version=data.get("version"),
        raw=data,
        earlier=None if earlier is None else lambda: earlier(workflow_id),
    )
