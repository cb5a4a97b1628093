"""What a type of node is: the one interface that the graph and the runner know."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from .. import references

if TYPE_CHECKING:
    from ..knowledge.bases import Bases
    from ..models.small import SmallModel
    from ..sandbox.runner import Sandbox
    from ..web import Answer


@dataclass(frozen=True)
class Node:
    """One node of a checked graph."""

    name: str
    type: str
    metadata: Mapping[str, Any]

    @property
    def description(self) -> str:
        """What the author says of it, or nothing."""
        return str(self.metadata.get("description") or "")


class NodeError(Exception):
    """The node cannot give an output. The run fails with this message.

    Parameters
    ----------
    message : str
        What happened and what to do, in one line.
    transient : bool
        Whether a second try may go better.
    after : float or None
        Seconds that the other side asks to wait before it.
    """

    def __init__(self, message: str, *, transient: bool = False, after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.after = after


@dataclass(frozen=True)
class Services:
    """What nodes may use of the server."""

    sandbox: Sandbox
    knowledge: Bases
    small: SmallModel | None = None


@dataclass(frozen=True)
class Call:
    """One execution of a node: where it stands, and what it may use."""

    node: Node
    run_id: str
    key: str
    """The name of this step in its run: the node's, and in a loop which round it is."""
    scope: Mapping[str, Any]
    services: Services
    trusted: bool = True

    @property
    def idempotency_key(self) -> str:
        """What a service is sent with anything that it is to do once, also if it is asked again after a crash."""
        return f"{self.run_id}:{self.key}"


@dataclass
class Outcome:
    """What a node gave.

    Attributes
    ----------
    output : Any
        The raw result, as the step shows it.
    error : str or None
        What went wrong inside, where the output itself says so and the run goes on.
    targets : list of str or None
        The nodes that the way leads on to; None for every one.
    tokens : int
        What a model counted.
    """

    output: Any
    error: str | None = None
    targets: list[str] | None = None
    tokens: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


def wait_asked(answer: Answer) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait, in either of its forms; None where it says nothing."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class NodeType(ABC):
    """One type of node. Subclass it, give it a ``name``, and register it."""

    name: ClassVar[str]
    retries: ClassVar[int] = 0
    """How often a passing failure is tried again, where the node does not say."""
    keeps_time: ClassVar[bool] = False
    """Whether it heeds ``metadata.timeout`` itself."""

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield each fault of ``node`` as (field, message). ``targets`` are where its edges lead."""
        del node, targets
        return iter(())

    def templates(self, node: Node) -> Iterator[tuple[str, Any]]:
        """Yield (field, value) for each value whose references are filled in."""
        return ((key, value) for key, value in node.metadata.items() if key not in ("description", "output_mapping"))

    def references(self, node: Node) -> Iterator[tuple[str, str]]:
        """Yield (field, path) for each reference in ``node``."""
        for key, value in self.templates(node):
            yield from ((key, path) for path in references.find(value))

    def ways(self, node: Node) -> list[Any]:
        """Return the nodes of which it chooses one, None for none; nothing where it goes on to all."""
        del node
        return []

    def mapping(self, node: Node) -> dict[str, str]:
        """Return which variables ``node`` provides, each with its path in the raw output ("" for all of it)."""
        given = node.metadata.get("output_mapping")
        if isinstance(given, Mapping) and given:
            return {str(name): str(path) for name, path in given.items()}
        return {node.name: ""}

    @abstractmethod
    def inputs(self, call: Call) -> dict[str, Any]:
        """Return what the node is called with, references filled in: the step shows it."""

    @abstractmethod
    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Do the work.

        Raises
        ------
        NodeError
            If there is no output; the run fails with it.
        """
