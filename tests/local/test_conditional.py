import pytest

from orchestra_magic.local.nodes import TYPES, Call, Node, NodeError
from orchestra_magic.local.references import UnknownReferenceError

from .graphs import code, graph


def choose(scope, *conditions, **more):
    node = Node("c", "conditional", {"conditions": list(conditions), **more})
    call = Call(node, "run", node.name, scope, services=None)
    kind = TYPES["conditional"]
    work = kind.run(kind.inputs(call), call)
    try:
        work.send(None)
    except StopIteration as done:
        return done.value.output["then"], done.value.targets


def holds(left, operator, right):
    criterion = {"variable": "{{x}}", "operator": operator, "value": right}
    return choose({"x": left}, {"criteria": [criterion], "then": "yes"}, **{"else": "no"})[0] == "yes"


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        (1, "==", 1.0, True),
        ("a", "==", "b", False),
        ("a", "!=", "b", True),
        (None, "==", 5, False),
        (None, "!=", "", True),
        (None, "==", None, True),
        ([1], "==", [1], True),
        ({"a": 1}, "!=", {"a": 1}, False),
        ([1], "==", [True], False),
        ({"a": [1.0]}, "==", {"a": [1]}, True),
        ({"a": 1}, "==", {"a": True}, False),
        ({"a": 1}, "==", {"b": 1}, False),
        ([1, 2], "==", [1], False),
        ([[1]], "in", [True], False),
        (2, ">", 1, True),
        (1, ">", 1, False),
        (1, ">=", 1, True),
        (1, "<", 1.5, True),
        (2, "<=", 1, False),
        ("b", ">", "a", True),
        ("an owl", "in", "owl", True),
        ("an owl", "not in", "owl", False),
        ([1, "a"], "in", "a", True),
        ([1, "a"], "in", True, False),
        ([1], "not in", 2, True),
        ({"k": 1}, "in", "k", True),
    ],
)
def test_operators(left, operator, right, expected):
    assert holds(left, operator, right) is expected


@pytest.mark.parametrize(
    ("left", "operator", "right", "message"),
    [
        (5, "==", "5", "x is number and the value is text: == does not compare them; make both the same type"),
        ("5", ">", 4, "x is text and the value is number: > does not compare them"),
        (True, "==", 1, "x is boolean and the value is number"),
        (True, ">", False, "x is boolean and the value is boolean: > does not compare them"),
        (None, "<", 1, "x is null and the value is number"),
        (5, "in", 5, "x is number, and only text, a list or an object contains a value"),
        ("5", "in", 5, "x is text, and number cannot be in it"),
    ],
)
def test_types_that_do_not_compare_are_an_error(left, operator, right, message):
    with pytest.raises(NodeError) as caught:
        holds(left, operator, right)
    assert str(caught.value).startswith(message)


def criteria(*values):
    return [{"variable": "x", "operator": "==", "value": value} for value in values]


def test_first_true_condition_wins():
    first = {"criteria": criteria(1), "then": "a"}
    second = {"criteria": criteria(1), "then": "b"}
    assert choose({"x": 1}, first, second) == ("a", ["a"])


def test_and_or_else():
    both = {"criteria": criteria(1, 2), "then": "a"}
    assert choose({"x": 1}, {**both, "match": "and"}) == (None, [])
    assert choose({"x": 1}, {**both, "match": "or"}) == ("a", ["a"])
    assert choose({"x": 9}, both, **{"else": "b"}) == ("b", ["b"])


def lazily(scope, *conditions):
    node = Node("c", "conditional", {"conditions": list(conditions)})
    return TYPES["conditional"].inputs(Call(node, "run", "c", scope, services=None))["conditions"]


def test_what_decides_nothing_is_not_looked_up():
    late = {"criteria": [{"variable": "missing", "operator": "==", "value": "{{missing.too}}"}], "then": "b"}
    first = {"name": "first", "criteria": [*criteria(1), *late["criteria"]], "match": "or", "then": "a"}
    assert choose({"x": 1}, first, late) == ("a", ["a"])
    [asked] = lazily({"x": 1}, first, late)
    shown = {"variable": "x", "is": 1, "operator": "==", "value": 1}
    assert asked == {"name": "first", "match": "or", "criteria": [shown], "then": "a"}
    assert len(lazily({"x": 2}, {**first, "match": "and"}, {**late, "criteria": criteria(2)})) == 2
    with pytest.raises(UnknownReferenceError, match="there is no 'missing' here"):
        choose({"x": 2}, first, late)


def test_what_cannot_be_compared_is_among_the_inputs_of_the_step():
    [asked] = lazily({"x": 1}, {"criteria": criteria("1"), "then": "a"}, {"criteria": criteria(1), "then": "b"})
    assert asked["criteria"][0]["is"] == 1


def test_values_may_be_references():
    condition = {"criteria": [{"variable": "a.b", "operator": "<", "value": "{{limit}}"}], "then": "t"}
    assert choose({"a": {"b": 1}, "limit": 2}, condition)[0] == "t"


def size_graph():
    conditions = [
        {"name": "big", "criteria": [{"variable": "{{n}}", "operator": ">", "value": 9}], "then": "large"},
        {
            "name": "odd",
            "match": "or",
            "criteria": [
                {"variable": "n", "operator": "==", "value": 1},
                {"variable": "word", "operator": "in", "value": "owl"},
            ],
            "then": "strange",
        },
    ]
    nodes = {
        "choose": {"type": "conditional", "metadata": {"conditions": conditions, "else": "small"}},
        **{name: code(f"'{name}'") for name in ("large", "strange", "small")},
    }
    edges = ["START choose", *(f"choose {one}" for one in nodes if one != "choose")]
    edges += [f"{one} END" for one in nodes if one != "choose"]
    return graph(nodes, *edges)


@pytest.mark.parametrize(
    ("inputs", "way"),
    [
        ({"n": 10, "word": ""}, "large"),
        ({"n": 1, "word": ""}, "strange"),
        ({"n": 5, "word": "owls"}, "strange"),
        ({"n": 5, "word": ""}, "small"),
    ],
)
def test_a_run_goes_one_way(local_server, inputs, way):
    workflow = local_server.upload(size_graph(), name="sizes")
    run = local_server.finish(workflow, inputs)
    assert {one["node_id"] for one in local_server.steps(workflow, run["id"])} == {"choose", way}
    assert run["all_outputs"][way]["data"]["results"] == way


def test_a_run_that_compares_a_number_with_text_fails_by_its_node(local_server):
    run = local_server.finish(local_server.upload(size_graph(), name="sizes"), {"n": "10", "word": ""})
    assert run["status"] == "failed"
    assert run["error"] == (
        "choose: n is text and the value is number: > does not compare them; make both the same type"
    )
