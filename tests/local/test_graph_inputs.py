"""A run's inputs against the graph: defaults, what is missing or wrong, and what is no input."""

import pytest

from orchestra_magic.local.graph import read_graph
from orchestra_magic.local.inputs import Input

from .graphs import code, graph

STRAIGHT = ("START a", "a END")


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        ({"x": "string"}, {"x": "a"}, {"x": "a"}),
        ({"x": 5}, {}, {"x": 5}),
        ({"x": 5}, {"x": 6, "extra": 1}, {"x": 6, "extra": 1}),
        ([{"name": "x", "default": 1}, {"name": "y", "required": False}], {}, {"x": 1, "y": None}),
        ({"x": {"type": "integer"}}, {"x": 2.0}, {"x": 2.0}),
        ({"x": {"type": "array", "default": []}}, {}, {"x": []}),
    ],
)
def test_defaults(declared, given, expected):
    read = read_graph(graph({"a": code("1")}, *STRAIGHT, input_data=declared))
    assert read.complete(given) == expected


def test_every_wrong_input_is_named():
    declared = {"x": "string", "y": {"type": "number"}, "z": {"type": "boolean"}, "e": {"enum": ["a", "b"]}}
    read = read_graph(graph({"a": code("1")}, *STRAIGHT, input_data=declared))
    with pytest.raises(ValueError) as caught:
        read.complete({"z": 1, "e": "c"})
    assert str(caught.value) == (
        "missing required inputs: 'x', 'y'; 'z' is to be of type boolean, not integer; "
        "'e' is to be one of 'a', 'b', not 'c'"
    )


@pytest.mark.parametrize(
    ("enum", "value", "fault"),
    [
        ([True], 1, "'x' is to be one of True, not 1"),
        ([1], True, "'x' is to be one of 1, not True"),
        ([1], 1.0, None),
        ([[1]], [1], None),
        (["a"], "b" * 10**6, f"'x' is to be one of 'a', not '{'b' * 99}…"),
    ],
)
def test_a_value_is_one_of_those_that_are_allowed(enum, value, fault):
    assert Input("x", enum=tuple(enum)).fault(value) == fault


def test_an_input_does_not_stand_in_for_what_a_node_provides():
    criteria = [{"variable": "n", "operator": "==", "value": 1}]
    nodes = {
        "q": {"type": "conditional", "metadata": {"conditions": [{"criteria": criteria, "then": "a"}], "else": "j"}},
        "a": code("1", output_mapping={"v": "data.results"}),
        "j": code("{{v}}"),
    }
    read = read_graph(graph(nodes, "START q", "q a", "q j", "a j", input_data={"n": "integer"}))
    with pytest.raises(ValueError) as caught:
        read.complete({"n": "x", "v": "smuggled", "j": 1, "a": 2})
    assert str(caught.value) == (
        "'n' is to be of type integer, not string; 'v' is what the node 'a' provides, and no input: leave it out; "
        "'j' is what the node 'j' provides, and no input: leave it out"
    )
    assert read.complete({"n": 1, "a": 2}) == {"n": 1, "a": 2}
