"""Mermaid text: read for the structure that it tells, and written. Its styling is not taken over."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from .diagram_lettering import one_line
from .diagram_picture import KINDS, Edge, Node, Picture, sentinel, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["from_mermaid", "to_mermaid"]

_NO_STATEMENT = re.compile(
    r"\s*(graph|flowchart|style|classDef|class|linkStyle|click|subgraph|end|direction|%%|---|accTitle|accDescr)(?![\w(\[{])"
)
_STATEMENT = re.compile(r'(?:[&#]\w{1,10};|"[^"\n]*"|\|[^|\n]*\||[^;\n])+')
_LONG_LABEL = re.compile(r'([\[({]")((?:(?![\[({]"|"[\])}]).)*)("[\])}])', re.DOTALL)
_NAME = re.compile(r'(?:(?!\s*(?:<?--|-\.|==|~~~|:::)|\s&\s)[^\[\](){}<>|";])+')
_SHAPE = re.compile(r'(?P<open>[\[({>]{1,3})(?:\s*"(?P<quoted>.*?)"\s*|(?P<bare>[^"\[\](){}]*))[\])}]{1,3}')
_ARROW = re.compile(
    r"\s*<?(?:--(?![->])(?P<solid>[^|>]{1,300}?)--+>?|-\.(?!-)(?P<dotted>[^|>]{1,300}?)\.-+>?"
    r"|==(?![=>])(?P<thick>[^|>]{1,300}?)==+>?|--+[>xo]?|-\.+-+[>xo]?|==+[>xo]?|~~~)"
    r'(?: ?\| ?"?(?P<label>[^|]*?)"? ?\|)?\s*'
)
_AND = re.compile(r"\s*&\s*")
_CLASS = re.compile(r":::[\w-]+")
_BREAK = re.compile(r"(?i)<br\s*/?>|\\n")
_TAG = re.compile(r"</?\w[^<>]*>")
_ENTITY = re.compile(r"#(\w+);")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RESERVED = {"end", "graph", "flowchart", "subgraph", "style", "class", "click", "default", "direction", "call", "href"}
_GENERIC = re.compile(r"(?i)(model|code|conditional|knowledge[ _]retrieval|integration)(?:[ _]node|(?:_\d+)?)")
_LONGEST = 400_000
"""Characters that are read: no picture that is worth a look has more."""


def from_mermaid(text: str) -> Picture:
    r"""Read the nodes and edges of a flow chart; what is neither is passed over.

    Examples
    --------
    >>> picture = from_mermaid('graph TD\n  hi["hi<br/>Model node"]\n  START((START))\n  START -->|go| hi')
    >>> picture.nodes[1], picture.edges
    (Node(name='hi', kind='model', description=''), (Edge(source='START', target='hi', label='go'),))
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str, str]] = []
    joined = _LONG_LABEL.sub(lambda found: " ".join(found[0].split()), text[:_LONGEST])
    for statement in _STATEMENT.findall(joined):
        if not _NO_STATEMENT.match(statement):
            edges += _statement(" ".join(statement.split()), nodes)
    names: dict[str, str] = {}
    for key, node in nodes.items():
        # two nodes with one title keep their keys for names
        names[key] = key if node.name in names.values() else node.name
    drawn = [Node(names[key], node.kind, node.description) for key, node in nodes.items()]
    return whole(Picture(tuple(drawn), tuple(Edge(names[one], names[two], label) for one, two, label in edges)))


def _statement(statement: str, nodes: dict[str, Node]) -> Iterator[tuple[str, str, str]]:
    """Read one line: nodes, and the edges between each two groups of them."""
    before: list[str] = []
    label = ""
    at = 0
    while at < len(statement):
        group, at = _group(statement, at, nodes)
        yield from ((one, two, label) for one in before for two in group)
        arrow = _ARROW.match(statement, at)
        if not group or not arrow:
            return
        said = arrow["label"] or arrow["solid"] or arrow["dotted"] or arrow["thick"] or ""
        before, label, at = group, _decoded(said), arrow.end()


def _group(statement: str, at: int, nodes: dict[str, Node]) -> tuple[list[str], int]:
    """Read nodes joined by ``&``, and tell where they end."""
    group = []
    while (found := _NAME.match(statement, at)) and found[0].strip():
        key = _decoded(found[0])
        at = found.end()
        shape = _SHAPE.match(statement, at)
        if shape:
            at = shape.end()
            said = shape["quoted"] if shape["quoted"] is not None else shape["bare"] or ""
            nodes[key] = _node(key, said, shape["open"])
        nodes.setdefault(key, _node(key, key, ""))
        group.append(key)
        styled = _CLASS.match(statement, at)
        at = styled.end() if styled else at
        more = _AND.match(statement, at)
        if not more:
            break
        at = more.end()
    return group, at


def _node(key: str, said: str, opening: str) -> Node:
    """Make a node of its label: a name, and after a line break what it is."""
    parts = [_decoded(part) for part in _BREAK.split(said)]
    name = parts[0] or key
    description = " ".join(part for part in parts[1:] if part)
    kind = sentinel(name) or sentinel(key)
    if not kind and opening == "{":
        kind = "conditional"
    if generic := _GENERIC.fullmatch(description):
        kind, description = kind or _kind(generic[1]), ""
    elif not kind and not description and (generic := _GENERIC.fullmatch(name)):
        kind = _kind(generic[1])
    return Node(name, kind, description)


def _kind(words: str) -> str:
    return words.lower().replace(" ", "_")


def _decoded(text: str) -> str:
    plain = _TAG.sub("", text)
    return html.unescape(_ENTITY.sub(_as_html, plain)).strip()


def _as_html(entity: re.Match[str]) -> str:
    return f"&#{entity[1]};" if entity[1].isdigit() else f"&{entity[1]};"


def to_mermaid(picture: Picture) -> str:
    """Write a picture as Mermaid text, without styling.

    Examples
    --------
    >>> print(to_mermaid(Picture((Node("hi", "model"),), (Edge("hi", "END"),))))
    graph TD
        hi["hi<br/>Model node"]
        END((END))
        hi --> END
    """
    picture = whole(picture)
    keys = _keys(picture)
    lines = ["graph TD"]
    for node in picture.nodes:
        key, name = keys[node.name], _encoded(node.name)
        if node.kind in {"start", "end"}:
            lines.append(f"    {key}(({name}))")
            continue
        generic = f"{node.kind.replace('_', ' ').capitalize()} node" if node.kind in KINDS else ""
        opening, closing = "{}" if node.kind == "conditional" else "[]"
        lines.append(f'    {key}{opening}"{name}<br/>{_encoded(node.description or generic)}"{closing}')
    for edge in picture.edges:
        label = f'|"{_encoded(edge.label)}"|' if one_line(edge.label) else ""
        lines.append(f"    {keys[edge.source]} -->{label} {keys[edge.target]}")
    return "\n".join(lines)


def _keys(picture: Picture) -> dict[str, str]:
    """Give each node a name that Mermaid can read: its own if it can."""
    own = {n.name for n in picture.nodes if _PLAIN_NAME.fullmatch(n.name) and n.name.lower() not in _RESERVED}
    own |= {node.name for node in picture.nodes if sentinel(node.name)}
    keys = {name: name for name in own}
    number = 0
    for node in picture.nodes:
        if node.name not in keys:
            number += 1
            while f"n{number}" in own:
                number += 1
            keys[node.name] = f"n{number}"
    return keys


def _encoded(text: str) -> str:
    codes = {
        "&": "#amp;",
        "<": "#lt;",
        ">": "#gt;",
        '"': "#quot;",
        "#": "#35;",
        "|": "#124;",
        "`": "#96;",
        "\\": "#92;",
    }
    return "".join(codes.get(character, character) for character in one_line(text))
