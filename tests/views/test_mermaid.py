"""Mermaid text is read for its structure, and what is written can be read again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra_magic.views.diagram import Edge, Node, Picture, from_mermaid, svg, to_mermaid

SAMPLES = Path(__file__).parent.parent / "samples"


def edges(text: str) -> list[tuple[str, str, str]]:
    return [(edge.source, edge.target, edge.label) for edge in from_mermaid(text).edges]


def nodes(text: str) -> list[tuple[str, str, str]]:
    return [(node.name, node.kind, node.description) for node in from_mermaid(text).nodes]


def test_the_documented_sample() -> None:
    text = json.loads((SAMPLES / "diagram.response.example.json").read_text())["diagram"]
    assert from_mermaid(text) == Picture(
        (Node("START", "start"), Node("model", "model"), Node("slack_integration"), Node("END", "end")),
        (Edge("slack_integration", "END"), Edge("START", "model"), Edge("model", "slack_integration")),
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a --> b", [("a", "b", "")]),
        ("a-->b", [("a", "b", "")]),
        ("a-b --> c.d", [("a-b", "c.d", "")]),
        ("my node --> other node", [("my node", "other node", "")]),
        ("a -->|yes| b", [("a", "b", "yes")]),
        ('a -->|"x &gt; 1"| b', [("a", "b", "x > 1")]),
        ("a -- some words --> b", [("a", "b", "some words")]),
        ("a -.-> b", [("a", "b", "")]),
        ("a -.->|maybe| b", [("a", "b", "maybe")]),
        ("a -. &nbsp;maybe&nbsp; .-> b", [("a", "b", "maybe")]),
        ("a ==> b", [("a", "b", "")]),
        ("a --- b", [("a", "b", "")]),
        ("a --> b --> c", [("a", "b", ""), ("b", "c", "")]),
        ("a & b --> c", [("a", "c", ""), ("b", "c", "")]),
        ('a["x --> y"] --> b("z")', [("x --> y", "z", "")]),
        ("START((START)) --> a:::first", [("START", "a", "")]),
        ("a --> b;", [("a", "b", "")]),
        ("a --> b; b --> c", [("a", "b", ""), ("b", "c", "")]),
        ("endless --> style_1", [("endless", "style_1", "")]),
        ("a -->", []),
        ("--> a", []),
        ("%% a --> b", []),
        ("style a fill:#bbf,stroke:#333", []),
        ("classDef x --> y", []),
    ],
)
def test_edges(line, found) -> None:
    assert edges(f"graph TD\n    {line}\n") == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('a["a<br/>Model node"]', ("a", "model", "")),
        ('a["a<br>Knowledge retrieval node"]', ("a", "knowledge_retrieval", "")),
        ('a["a<br/>"]', ("a", "", "")),
        ('a["a<br/>first<br/>second"]', ("a", "", "first second")),
        ('a["a<br/>first\nsecond\n  third"]', ("a", "", "first second third")),
        ('a["a<br/>says &quot;hi&quot; &amp; #lt;b#gt; #35;1"]', ("a", "", 'says "hi" & <b> #1')),
        ('a["a<br/>says "hi" [now]"]', ("a", "", 'says "hi" [now]')),
        ('code_2["code_2<br/>"]', ("code_2", "code", "")),
        ("a[Some title]", ("Some title", "", "")),
        ('a{"really?"}', ("really?", "conditional", "")),
        ("__start__([<p>__start__</p>]):::first", ("__start__", "start", "")),
        ("END((END))", ("END", "end", "")),
    ],
)
def test_nodes(line, found) -> None:
    assert nodes(f"flowchart LR\n{line}") == [found]


def test_two_nodes_with_one_title_stay_two() -> None:
    assert edges("graph TD\n a[Same] --> b[Same]") == [("Same", "b", "")]


def test_styling_is_not_taken_over() -> None:
    source = svg(from_mermaid("graph TD\n a --> b\n style a fill:#bbf,color:#fff\n linkStyle 0 stroke:#0f0"))
    assert "#bbf" not in source
    assert "#0f0" not in source


@given(st.text(max_size=60) | st.text('ab["]-.>|&#;{}()\n <br/>=:~', max_size=60))
def test_no_text_raises(text) -> None:
    from_mermaid(text)
    assert svg(from_mermaid("graph TD\n" + text))


@pytest.mark.parametrize(
    "part", ['a["', "a -- ", " ", "|", '"', "[({", "-", "-.", "&", "a-- x ", "<br/>", '" ', "#", "\n"]
)
def test_hostile_text_is_read_in_linear_time(part) -> None:
    def taken(size: int) -> float:
        start = time.perf_counter()
        from_mermaid("graph TD\na" + part * size + "b")
        return time.perf_counter() - start

    # four times the text: what is quadratic takes sixteen times as long
    assert min(taken(80_000) for _ in range(2)) < 9 * max(min(taken(20_000) for _ in range(2)), 0.02)


names = st.text(min_size=1, max_size=12).map(lambda name: " ".join(name.split())).filter(bool)
plain = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20).map(lambda t: " ".join(t.split()))


@settings(deadline=None)
@given(st.lists(plain.filter(bool), min_size=2, max_size=4, unique=True), plain, plain)
def test_what_is_written_can_be_read_again(names, label, description) -> None:
    drawn = tuple(Node(name, "conditional" if place else "", description) for place, name in enumerate(names))
    picture = Picture(drawn, tuple(Edge(names[0], name, label) for name in names[1:]))
    again = from_mermaid(to_mermaid(picture))
    assert [node.name for node in again.nodes] == names
    assert again.edges == picture.edges


def test_names_that_mermaid_cannot_read_get_keys() -> None:
    written = to_mermaid(Picture((Node("end", "code"), Node("n1", "code"), Node("a b", "code")), (Edge("end", "a b"),)))
    assert written.splitlines()[1:] == [
        '    n2["end<br/>Code node"]',
        '    n1["n1<br/>Code node"]',
        '    n3["a b<br/>Code node"]',
        "    n2 --> n3",
    ]
