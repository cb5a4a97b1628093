"""Workflow JSON becomes a checked graph, or the list of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import references
from .inputs import NAMES, Input, is_name, read_inputs, with_defaults
from .nodes import TYPES, Node
from .order import components, reachable, reverse, together

START, END = "START", "END"
MAX_NODES = 500
MAX_VISITS = 1000
MAX_TIMEOUT = 7 * 86_400
MAX_RETRIES = 100
_COMMON = ("output_mapping", "timeout", "retries")
"""What any node may say, whatever its type."""


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

    @cached_property
    def givers(self) -> dict[str, list[str]]:
        """For each variable the nodes that provide it, in topological order."""
        found: dict[str, list[str]] = {}
        for component in self.components:
            for name in component:
                for variable in self.mapping(name):
                    found.setdefault(variable, []).append(name)
        return found

    def mapping(self, name: str) -> dict[str, str]:
        """Return the variables that a node provides, each with its path in the raw output."""
        node = self.nodes[name]
        return TYPES[node.type].mapping(node)

    def ways(self, name: str) -> list[Any]:
        """Return the nodes of which one is chosen after ``name``, None for none; nothing where all come after it."""
        node = self.nodes[name]
        return TYPES[node.type].ways(node)

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of a run, with the defaults of those that are missing in ``given``.

        Raises
        ------
        ValueError
            Naming every input that is missing, not as declared, or called like what a node provides.
        """
        wrong = [
            f"{name!r} is what the node {self.givers[name][0]!r} provides, and no input: leave it out"
            for name in given
            if name in self.givers
        ]
        complete: dict[str, Any] = {}
        try:
            complete = with_defaults(self.inputs, given)
        except ValueError as error:
            wrong.insert(0, str(error))
        if wrong:
            raise ValueError("; ".join(wrong))
        return complete

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
    edges = _read_edges(document.get("edges"), document.get("nodes"), faults)
    inputs, wrong = read_inputs(document)
    faults += [Fault(None, where, message) for where, message in wrong]
    settings = document.get("settings")
    if not isinstance(settings, Mapping | None):
        faults.append(Fault(None, "settings", "settings is an object"))
    visits = settings.get("max_visits") if isinstance(settings, Mapping) else None
    graph = Graph(
        description=str(document.get("description") or ""),
        inputs=inputs,
        nodes=nodes,
        edges=edges,
        selected=document.get("selectedOutput") or None,
        max_visits=visits if isinstance(visits, int) else 0,
        declared=bool(inputs),
    )
    unread = _unread(faults, nodes)
    faults += _check_shape(graph, visits, unread)
    faults += _check_nodes(graph, unread)
    faults += _check_names(graph, unread)
    if not unread & {"edges", "types"}:
        faults += _check_shared(graph)
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
        if not is_name(name) or name in (START, END):
            faults.append(Fault(name, "name", f"{name!r} is no name: {NAMES}, and not START or END"))
        wrong = list(_check_node(node))
        if wrong:
            faults += [Fault(name, where, message) for where, message in wrong]
            # The rest of the graph is checked with a node in its place that does nothing.
            metadata = node.get("metadata") if isinstance(node, Mapping) else None
            known = metadata if isinstance(metadata, Mapping) else {}
            nodes[name] = Node(name, "code", {key: known[key] for key in _COMMON if key in known} | {"code": "None"})
        else:
            nodes[name] = Node(name, node["type"], node.get("metadata", {}))
    return nodes


def _check_node(node: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(node, Mapping):
        yield "", "a node is an object with type and metadata"
        return
    if not isinstance(node.get("metadata", {}), Mapping):
        yield "metadata", "metadata is an object"
    beside = [name for name in node if name != "type"]
    if "metadata" not in node and beside:
        yield "metadata", f"what a node does stands in its metadata, not beside it: {', '.join(map(str, beside))}"
    if not isinstance(node.get("type"), str) or node["type"] not in TYPES:
        known = ", ".join(sorted(TYPES))
        yield "type", f"there is no node type {node.get('type')!r}; there are: {known}"


def _read_edges(given: Any, nodes: Any, faults: list[Fault]) -> dict[str, list[str]]:
    if not isinstance(given, list):
        faults.append(Fault(None, "edges", "a graph needs edges: a list of [from, to]"))
        return {}
    edges: dict[str, list[str]] = {}
    named = isinstance(nodes, Mapping) and bool(nodes)
    for number, edge in enumerate(given):
        where = f"edges[{number}]"
        if not (isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) for end in edge)):
            faults.append(Fault(None, where, "an edge is a pair of names: [from, to]"))
            continue
        source, target = edge
        if named and source not in nodes and source != START:
            faults.append(Fault(None, where, f"there is no node {source!r} for the edge to begin at"))
        elif named and target not in nodes and target != END:
            faults.append(Fault(None, where, f"there is no node {target!r} for the edge to lead to"))
        elif target not in edges.setdefault(source, []):
            edges[source].append(target)
    return edges


def _unread(faults: list[Fault], nodes: Mapping[str, Node]) -> set[str]:
    """Return which parts of a document could not be read whole: what only follows from that is no fault."""
    fields = {fault.field.partition("[")[0] for fault in faults}
    unread = fields & {"edges", "settings"}
    if fields & {"nodes", "", "metadata", "type"}:
        unread.add("types")
    mappings = [node.metadata.get("output_mapping") for node in nodes.values()]
    if fields & {"nodes", "", "metadata", "input_data"} or not all(isinstance(one, Mapping | None) for one in mappings):
        unread.add("names")
    return unread


def _check_shape(graph: Graph, visits: Any, unread: set[str]) -> Iterator[Fault]:
    seen = reachable([START], graph.edges)
    for name in graph.nodes if "edges" not in unread else ():
        if name not in seen:
            yield Fault(name, "edges", "no edge leads here from START, so it would never run")
    loops = [component for component in graph.components if graph.in_loop(component)]
    if visits is not None and not (_is_whole(visits) and 1 <= visits <= MAX_VISITS):
        yield Fault(None, "settings.max_visits", f"max_visits is a whole number from 1 to {MAX_VISITS}")
    elif visits is None and "settings" not in unread:
        for loop in loops:
            yield Fault(loop[0], "edges", f"{_round(loop)} goes round in a loop: set settings.max_visits")
    for loop in loops if not unread & {"edges", "types"} else ():
        if all(way in loop for name in loop for way in graph.ways(name)):
            yield Fault(loop[0], "edges", f"{_round(loop)} never ends: lead out of the loop by a conditional in it")
    if isinstance(graph.selected, str):
        there = "names" in unread or graph.selected in graph.nodes or graph.selected in graph.givers
    else:
        there = graph.selected is None
    if not there:
        yield Fault(None, "selectedOutput", f"there is no node {graph.selected!r} to take the output from")


def _round(loop: list[str]) -> str:
    return " → ".join([*loop, loop[0]])


def _check_nodes(graph: Graph, unread: set[str]) -> Iterator[Fault]:
    for node in graph.nodes.values():
        kind = TYPES[node.type]
        targets = graph.edges.get(node.name, [])
        if "edges" in unread:
            # The edges that it misses may be those that could not be read.
            ways = [way for way in kind.ways(node) if isinstance(way, str)]
            targets = [*targets, *(way for way in ways if way in graph.nodes or way == END)]
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
        if not is_name(name):
            yield where, f"{name!r} is no name: {NAMES}"
        if not isinstance(path, str) or (path and not references.is_path(path)):
            yield where, f"{json.dumps(path)} is no path; a path is like data.results or choices[0].message"
    seconds, retries = node.metadata.get("timeout"), node.metadata.get("retries")
    if seconds is not None and not ((_is_whole(seconds) or isinstance(seconds, float)) and 0 < seconds <= MAX_TIMEOUT):
        yield "timeout", f"timeout is a number of seconds above 0, and {MAX_TIMEOUT} (seven days) at most"
    if retries is not None and not (_is_whole(retries) and 0 <= retries <= MAX_RETRIES):
        yield "retries", f"retries is a whole number from 0 to {MAX_RETRIES}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_names(graph: Graph, unread: set[str]) -> Iterator[Fault]:
    """Check every reference; where the graph declares no inputs, note the names that can only be inputs."""
    provided = {name: set(graph.mapping(name)) for name in graph.nodes}
    for name, variables in provided.items():
        for variable in sorted(variables & set(graph.inputs)):
            yield Fault(name, "output_mapping", f"{variable!r} is an input already; give the output another name")
    for name, node in graph.nodes.items():
        known = set(graph.inputs).union(*(provided[one] for one in graph.earlier[name]))
        for where, path in TYPES[node.type].references(node):
            head = references.head(path)
            if head in known:
                continue
            if not is_name(head):
                reason = f"{head!r} is no name: {NAMES}"
            elif ("edges" if head in graph.givers else "names") in unread:
                continue
            elif head in graph.givers:
                reason = f"{head!r} does not come before this node"
            elif not graph.declared and head == path:
                graph.inputs.setdefault(head, Input(head))
                continue
            else:
                near = f"; there is: {', '.join(sorted(known))}" if known else ""
                reason = f"nothing provides {head!r}{near}; if it is an input, declare it in input_data"
            yield Fault(name, where, f"{{{{{path}}}}}: {reason}")


def _check_shared(graph: Graph) -> Iterator[Fault]:
    """Find what a run would lose: results of one name, of nodes neither of which comes after the other.

    Where one does, its result takes the place of the other's, like a variable that is assigned again.
    """
    shared = {variable: names for variable, names in graph.givers.items() if len(names) > 1}
    if not shared:
        return
    # In which round of a loop which way was gone, nobody can say.
    alone = [component[0] for component in graph.components if not graph.in_loop(component)]
    parting = {START, *(name for name in alone if not graph.ways(name))} & reachable([START], graph.edges)
    company = together(graph.components, graph.sources, parting)
    for variable, names in shared.items():
        for place, name in enumerate(names):
            beside = company[name].difference(graph.earlier[name])
            other = next((one for one in names[:place] if one in beside), None)
            if other:
                message = f"{variable!r} is what {other!r} gives too, and neither comes after the other: rename one"
                yield Fault(name, "output_mapping", message)
