"""Workflow JSON becomes a checked graph, or the list of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import references
from .inputs import Input, read_inputs
from .nodes import TYPES, Node
from .order import components, reachable, reverse

START, END = "START", "END"
MAX_NODES = 500
MAX_VISITS = 1000
MAX_TIMEOUT = 7 * 86_400
MAX_RETRIES = 100


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: in which node (None: the graph itself), in which field, and what."""

    node: str | None
    field: str
    message: str


class GraphError(ValueError):
    """The graph cannot be run. ``faults`` holds every reason."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass(frozen=True)
class Graph:
    """A graph that can be run."""

    description: str
    inputs: dict[str, Input]
    nodes: dict[str, Node]
    edges: dict[str, list[str]]
    selected: str | None
    max_visits: int
    declared: bool = True
    """Whether the graph says itself what its inputs are."""
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def components(self) -> list[list[str]]:
        """The nodes in topological order; those of one loop stand together."""
        return components(list(self.nodes), {name: self.inner(name) for name in self.nodes})

    @cached_property
    def earlier(self) -> dict[str, list[str]]:
        """For each node those that may run before it, in topological order: the names it may refer to."""
        back = reverse(self.edges)
        order = [name for component in self.components for name in component]
        before = {name: reachable(back.get(name, ()), back) for name in self.nodes}
        return {name: [one for one in order if one in before[name]] for name in self.nodes}

    @cached_property
    def sources(self) -> dict[str, list[str]]:
        """For each node where its edges come from."""
        return reverse(self.edges)

    def inner(self, name: str) -> list[str]:
        """Return the nodes that edges lead to from ``name``."""
        return [target for target in self.edges.get(name, ()) if target in self.nodes]

    def mapping(self, name: str) -> dict[str, str]:
        """Return the variables that a node provides, each with its path in the raw output."""
        node = self.nodes[name]
        return TYPES[node.type].mapping(node)

    def in_loop(self, component: list[str]) -> bool:
        """Tell whether a component is a loop."""
        return len(component) > 1 or component[0] in self.edges.get(component[0], ())


def read_graph(document: Any) -> Graph:
    """Return the graph of a workflow JSON.

    Raises
    ------
    GraphError
        With all faults at once.
    """
    if not isinstance(document, Mapping):
        raise GraphError([Fault(None, "", "a graph is a JSON object with nodes and edges")])
    faults: list[Fault] = []
    nodes = _read_nodes(document.get("nodes"), faults)
    edges = _read_edges(document.get("edges"), nodes, faults)
    inputs = {}
    try:
        inputs = read_inputs(document)
    except ValueError as error:
        faults += [Fault(None, where, message) for where, message in error.args[0]]
    settings = document.get("settings")
    if not isinstance(settings, Mapping | None):
        faults.append(Fault(None, "settings", "settings is an object"))
    visits = settings.get("max_visits") if isinstance(settings, Mapping) else None
    graph = Graph(
        description=str(document.get("description") or ""),
        inputs=dict(inputs),
        nodes=nodes,
        edges=edges,
        selected=document.get("selectedOutput") or None,
        max_visits=visits if isinstance(visits, int) else 0,
        declared=bool(inputs),
        source=document,
    )
    if not nodes:
        raise GraphError(faults)
    faults += _check_shape(graph, visits)
    faults += _check_nodes(graph)
    faults += _check_names(graph)
    if faults:
        raise GraphError(faults)
    return graph


def _read_nodes(given: Any, faults: list[Fault]) -> dict[str, Node]:
    if not isinstance(given, Mapping) or not given:
        faults.append(Fault(None, "nodes", "a graph needs nodes: an object from a name to a node"))
        return {}
    if len(given) > MAX_NODES:
        faults.append(Fault(None, "nodes", f"{len(given)} nodes are more than {MAX_NODES}"))
        return {}
    nodes = {}
    for name, node in given.items():
        if not (name.isascii() and name.isidentifier()) or name in (START, END):
            faults.append(Fault(name, "name", f"{name!r} is no name: letters, digits and _, and not START or END"))
        if not isinstance(node, Mapping):
            faults.append(Fault(name, "", "a node is an object with type and metadata"))
            continue
        metadata = node.get("metadata", {})
        if not isinstance(metadata, Mapping):
            faults.append(Fault(name, "metadata", "metadata is an object"))
            metadata = {}
        if not isinstance(node.get("type"), str) or node["type"] not in TYPES:
            known = ", ".join(sorted(TYPES))
            faults.append(Fault(name, "type", f"there is no node type {node.get('type')!r}; there are: {known}"))
            continue
        nodes[name] = Node(name, node["type"], metadata)
    return nodes


def _read_edges(given: Any, nodes: Mapping[str, Node], faults: list[Fault]) -> dict[str, list[str]]:
    if not isinstance(given, list):
        faults.append(Fault(None, "edges", "a graph needs edges: a list of [from, to]"))
        return {}
    edges: dict[str, list[str]] = {}
    for number, edge in enumerate(given):
        where = f"edges[{number}]"
        if not (isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) for end in edge)):
            faults.append(Fault(None, where, "an edge is a pair of names: [from, to]"))
            continue
        source, target = edge
        if source not in nodes and source != START:
            faults.append(Fault(None, where, f"there is no node {source!r} for the edge to begin at"))
        elif target not in nodes and target != END:
            faults.append(Fault(None, where, f"there is no node {target!r} for the edge to lead to"))
        elif target not in edges.setdefault(source, []):
            edges[source].append(target)
    return edges


def _check_shape(graph: Graph, visits: Any) -> Iterator[Fault]:
    seen = reachable([START], graph.edges)
    for name in graph.nodes:
        if name not in seen:
            yield Fault(name, "edges", "no edge leads here from START, so it would never run")
    loops = [component for component in graph.components if graph.in_loop(component)]
    if visits is not None and not (_is_whole(visits) and 1 <= visits <= MAX_VISITS):
        yield Fault(None, "settings.max_visits", f"max_visits is a whole number from 1 to {MAX_VISITS}")
    elif visits is None:
        for loop in loops:
            round_trip = " → ".join([*loop, loop[0]])
            yield Fault(loop[0], "edges", f"{round_trip} goes round in a loop: set settings.max_visits")
    if graph.selected is not None:
        provided = {name for node in graph.nodes for name in graph.mapping(node)}
        if not isinstance(graph.selected, str) or graph.selected not in {*graph.nodes, *provided}:
            yield Fault(None, "selectedOutput", f"there is no node {graph.selected!r} to take the output from")


def _check_nodes(graph: Graph) -> Iterator[Fault]:
    for node in graph.nodes.values():
        targets = graph.edges.get(node.name, [])
        kind = TYPES[node.type]
        for where, message in (*_check_common(node), *kind.check(node, targets)):
            yield Fault(node.name, where, message)
        for where, value in kind.templates(node):
            yield from (Fault(node.name, where, message) for message in references.misfits(value))


def _check_common(node: Node) -> Iterator[tuple[str, str]]:
    mapping = node.metadata.get("output_mapping")
    if mapping is not None and not isinstance(mapping, Mapping):
        yield "output_mapping", "output_mapping is an object from a variable to a path"
    for name, path in mapping.items() if isinstance(mapping, Mapping) else ():
        where = f"output_mapping.{name}"
        if not (name.isascii() and name.isidentifier()):
            yield where, f"{name!r} is no name: letters, digits and _"
        if not isinstance(path, str) or (path and not references.is_path(path)):
            yield where, f"{json.dumps(path)} is no path; a path is like data.results or choices[0].message"
    seconds, retries = node.metadata.get("timeout"), node.metadata.get("retries")
    if seconds is not None and not ((_is_whole(seconds) or isinstance(seconds, float)) and 0 < seconds <= MAX_TIMEOUT):
        yield "timeout", f"timeout is a number of seconds above 0, and {MAX_TIMEOUT} (seven days) at most"
    if retries is not None and not (_is_whole(retries) and 0 <= retries <= MAX_RETRIES):
        yield "retries", f"retries is a whole number from 0 to {MAX_RETRIES}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_names(graph: Graph) -> Iterator[Fault]:
    """Check every reference; where the graph declares no inputs, note the names that can only be inputs."""
    provided = {name: set(graph.mapping(name)) for name in graph.nodes}
    everywhere = set().union(*provided.values())
    for name, variables in provided.items():
        for variable in sorted(variables & set(graph.inputs)):
            yield Fault(name, "output_mapping", f"{variable!r} is an input already; give the output another name")
    for name, node in graph.nodes.items():
        known = set(graph.inputs).union(*(provided[one] for one in graph.earlier[name]))
        for where, path in TYPES[node.type].references(node):
            head = references.head(path)
            if head in known:
                continue
            if head in everywhere:
                message = f"{{{{{path}}}}}: {head!r} does not come before this node"
            elif not graph.declared and head == path:
                graph.inputs.setdefault(head, Input(head))
                continue
            else:
                near = ", ".join(sorted(known)) or "nothing"
                message = f"{{{{{path}}}}}: nothing provides {head!r}; there is: {near}"
            yield Fault(name, where, message)
