"""A graph becomes a picture, whatever the server makes of graphs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra_magic.views.diagram import Edge, Node, Picture, alt, from_graph, svg, text, to_mermaid

SAMPLES = Path(__file__).parent.parent / "samples"

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def labels(metadata, edges=(("ask", "yes"), ("ask", "no"))) -> dict[str, str]:
    nodes = {"ask": {"type": "conditional", "metadata": metadata}, "yes": {}, "no": {}}
    picture = from_graph({"nodes": nodes, "edges": [list(edge) for edge in edges]})
    return {edge.target: edge.label for edge in picture.edges}


def test_the_documented_sample() -> None:
    graph = json.loads((SAMPLES / "hi-workflow.graph.json").read_text())
    assert from_graph(graph) == Picture(
        (Node("START", "start"), Node("model_1", "model", "virtuoso-large"), Node("END", "end")),
        (Edge("START", "model_1"), Edge("model_1", "END")),
    )


@pytest.mark.parametrize(
    ("fields", "node"),
    [
        ({"type": "model", "metadata": {"description": "Summarise"}}, Node("n", "model", "Summarise")),
        ({"type": "model", "metadata": {"description": "Model node", "model": "auto"}}, Node("n", "model", "auto")),
        ({"type": "code", "metadata": {"description": "Code node"}}, Node("n", "code")),
        ({"type": "knowledge_retrieval", "metadata": {"knowledge_base": "kb"}}, Node("n", "knowledge_retrieval", "kb")),
        ({"type": "integration", "metadata": {"integration": "gmail"}}, Node("n", "integration", "gmail")),
        ({"type": "agent", "description": "Does it all"}, Node("n", "agent", "Does it all")),
        ({"type": 7, "metadata": [1]}, Node("n")),
        (None, Node("n")),
    ],
)
def test_what_a_node_says_of_itself(fields, node) -> None:
    assert from_graph({"nodes": {"n": fields}}).nodes == (node,)


def test_conditions_label_their_edges() -> None:
    high = {"name": "high", "criteria": [], "then": "yes"}
    assert labels({"conditions": [high], "else": "no"}) == {"yes": "high", "no": "else"}


@pytest.mark.parametrize(
    ("condition", "label"),
    [
        ({"criteria": [{"variable": "{{a.b[0]}}", "operator": ">=", "value": 0.5}]}, "a.b[0] ≥ 0.5"),
        ({"criteria": [{"variable": "t", "operator": "in", "value": "x"}]}, "t contains x"),
        ({"criteria": [{"variable": "t", "operator": "not in", "value": "x"}]}, "t does not contain x"),
        (
            {
                "match": "or",
                "criteria": [{"variable": "a", "operator": "==", "value": True}, {"variable": "b", "operator": "!="}],
            },
            "a = true or b ≠",
        ),
        ({}, "condition 1"),
        ({"name": " ", "criteria": "x"}, "condition 1"),
    ],
)
def test_a_condition_without_a_name_says_what_it_asks(condition, label) -> None:
    assert labels({"conditions": [condition | {"then": "yes"}], "else": "no"})["yes"] == label


def test_conditions_with_one_target_share_its_edge() -> None:
    conditions = [{"name": "one", "then": "yes"}, {"name": "two", "then": "yes"}]
    assert labels({"conditions": conditions, "else": "yes"})["yes"] == "one or two or else"


def test_a_way_that_no_edge_draws_is_drawn() -> None:
    assert labels({"conditions": [{"name": "one", "then": "yes"}], "else": "END"}, []) == {"yes": "one", "END": "else"}


def test_start_and_end_come_from_the_points_where_no_edge_names_them() -> None:
    graph = {"nodes": {"a": {}, "b": {}}, "edges": [["a", "b"]], "entry_point": "a", "finish_point": "b"}
    assert from_graph(graph).edges == (Edge("a", "b"), Edge("START", "a"), Edge("b", "END"))


def test_edges_of_other_forms_and_to_nowhere() -> None:
    edges = [{"source": "a", "target": "b"}, {"from": "b", "to": "lost", "label": "x"}, ["a"], "ab", None, [1, 2, 3]]
    picture = from_graph({"nodes": [{"name": "a", "type": "code"}, {"id": "b"}, 3], "edges": edges})
    assert picture.edges == (Edge("a", "b"), Edge("b", "lost", "x"), Edge("1", "2"))
    assert [node.name for node in picture.nodes] == ["a", "b", "lost", "1", "2"]


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "nodes": junk
            | st.dictionaries(
                st.sampled_from("abc"),
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["conditional", "model"])},
                    optional={
                        "metadata": junk
                        | st.fixed_dictionaries({}, optional={"conditions": junk, "else": junk, "description": junk})
                    },
                ),
            ),
            "edges": junk | st.lists(st.lists(st.sampled_from("abc") | junk, max_size=4), max_size=5),
            "entry_point": junk,
        },
    )
    | junk
)
def test_junk_never_raises(graph) -> None:
    picture = from_graph(graph)
    assert svg(picture, {"a": "running"})
    assert alt(picture)
    assert text(picture, {})
    assert to_mermaid(picture)
