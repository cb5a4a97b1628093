import random
from itertools import combinations, product

import pytest

from orchestra_magic.local.graph import GraphError, read_graph
from orchestra_magic.local.order import components, reachable, reverse, together

from .graphs import code, graph

STRAIGHT = ("START a", "a END")


def faults(document):
    with pytest.raises(GraphError) as caught:
        read_graph(document)
    return [(fault.node, fault.field, fault.message) for fault in caught.value.faults]


def model(text, **more):
    return {"type": "model", "metadata": {"model": "m", "messages": [{"role": "user", "content": text}], **more}}


def check(criteria, **more):
    return {"type": "conditional", "metadata": {"conditions": [{"criteria": criteria, "then": "a"}], **more}}


def test_the_documented_example_is_a_graph(sample):
    read = read_graph(sample("hi-workflow.graph.json"))
    assert list(read.nodes) == ["model_1"]
    assert read.selected == "model_1"
    assert read.mapping("model_1") == {"model_1": "choices[0].message.content"}


@pytest.mark.parametrize(
    ("document", "where", "message"),
    [
        ([], (None, ""), "a graph is a JSON object"),
        ({}, (None, "nodes"), "a graph needs nodes"),
        ({"nodes": {"a": code("1")}}, (None, "edges"), "a graph needs edges"),
        (graph({"a": {"type": "nope"}}, *STRAIGHT), ("a", "type"), "there is no node type 'nope'; there are: code"),
        (graph({"a": 1}, *STRAIGHT), ("a", ""), "a node is an object"),
        (
            graph({"a": {"type": "code", "code": "1", "timeout": 3}}, *STRAIGHT),
            ("a", "metadata"),
            "what a node does stands in its metadata, not beside it: code, timeout",
        ),
        (graph({"a b": code("1")}), ("a b", "name"), "'a b' is no name"),
        (graph({"END": code("1")}), ("END", "name"), "'END' is no name"),
        (graph({"a": code("1")}, "START a", "a b"), (None, "edges[1]"), "there is no node 'b' for the edge to lead to"),
        (
            graph({"a": code("1")}, "START a", "b a"),
            (None, "edges[1]"),
            "there is no node 'b' for the edge to begin at",
        ),
        (graph({"a": code("1")}, "START a", "a"), (None, "edges[1]"), "an edge is a pair of names"),
        (graph({"a": code("1"), "b": code("1")}, *STRAIGHT), ("b", "edges"), "no edge leads here from START"),
        (graph({"a": code("x = (")}, *STRAIGHT), ("a", "code"), "this is not Python: line 1"),
        (
            graph({"a": code("x=1\n" * 200_000)}, *STRAIGHT),
            ("a", "code"),
            "the program is longer than 200000 characters",
        ),
        (graph({"a": code("(" * 10_000)}, *STRAIGHT), ("a", "code"), "this is not Python"),
        (graph({"a": code("1")}, *STRAIGHT, settings=[]), (None, "settings"), "settings is an object"),
        (graph({"a": code("1", timeout=10**9)}, *STRAIGHT), ("a", "timeout"), "timeout is a number of seconds above 0"),
        (graph({"a": code(" ")}, *STRAIGHT), ("a", "code"), "a code node needs its program"),
        (graph({"a": code("1\0")}, *STRAIGHT), ("a", "code"), "this is not Python: source code string cannot contain"),
        *(
            (
                graph({"a": code(f"x = '{{{{q}}}}'\ny = {{{{{path}}}}}")}, *STRAIGHT),
                ("a", "code"),
                f"this is not Python: line 2: {{{{{path}}}}} cannot stand in code; write such a key as {{{{row['from']}}}}",
            )
            for path in ("from", "mail.from", "rows.0.a")
        ),
        (graph({"a": code("'{{from}}' = 1")}, *STRAIGHT), ("a", "code"), "this is not Python: line 1: cannot assign"),
        (
            graph({"a": code("{{a b}} + '{{q}}'")}, *STRAIGHT),
            ("a", "code"),
            "this is not Python: line 1: invalid syntax",
        ),
        (
            graph({"a": code("x = 1\n{{q + 1}}")}, *STRAIGHT),
            ("a", "code"),
            "line 2: {{q + 1}} is no reference, which is a path such as {{topic}} or {{rows[0].name}}; calculate outside",
        ),
        (
            graph({"a": model("{{q}} {{ q | upper }}")}, *STRAIGHT),
            ("a", "messages"),
            "{{ q | upper }} is no reference, which is a path such as {{topic}} or {{rows[0].name}}; {{ as text is written {{'{{'}}",
        ),
        (
            graph(
                {"c": check([{"variable": "x", "operator": "==", "value": "{{x y}}"}]), "a": code("1")},
                "START c",
                "c a",
            ),
            ("c", "conditions[0].criteria[0].value"),
            "{{x y}} is no reference",
        ),
        (
            graph(
                {"a": {"type": "integration", "metadata": {"integration": "http_request", "url": "http://{{h}/"}}},
                *STRAIGHT,
            ),
            ("a", "url"),
            "{{h} is no reference",
        ),
        (graph({"a": code("1")}, *STRAIGHT, selectedOutput="b"), (None, "selectedOutput"), "there is no node 'b'"),
        (graph({"a": code("1", timeout="x")}, *STRAIGHT), ("a", "timeout"), "timeout is a number of seconds"),
        (graph({"a": code("1", retries=-1)}, *STRAIGHT), ("a", "retries"), "retries is a whole number"),
        (
            graph({"a": code("1", output_mapping={"x": "a..b"})}, *STRAIGHT),
            ("a", "output_mapping.x"),
            '"a..b" is no path',
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, "a a"),
            ("a", "edges"),
            "a → a goes round in a loop: set settings.max_visits",
        ),
        (
            graph({"a": code("1"), "b": code("1")}, "START a", "a b", "b a", "b END", settings={"max_visits": 9}),
            ("a", "edges"),
            "a → b → a never ends: lead out of the loop by a conditional in it",
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, settings={"max_visits": 0}),
            (None, "settings.max_visits"),
            "max_visits is a whole number from 1",
        ),
        (
            graph({"a": code("{{b.c}}")}, *STRAIGHT),
            ("a", "code"),
            "{{b.c}}: nothing provides 'b'; if it is an input, declare it in input_data",
        ),
        (
            graph({"a": code("{{b}}")}, *STRAIGHT, input_data={"c": "string"}),
            ("a", "code"),
            "{{b}}: nothing provides 'b'; there is: c; if it is an input, declare it in input_data",
        ),
        (
            graph({"a": code("{{größe}}")}, *STRAIGHT),
            ("a", "code"),
            "{{größe}}: 'größe' is no name: letters a-z, digits and _",
        ),
        (graph({"größe": code("1")}), ("größe", "name"), "'größe' is no name: letters a-z, digits and _, and not"),
        (
            graph({"a": code("1", output_mapping={"größe": "data"})}, *STRAIGHT),
            ("a", "output_mapping.größe"),
            "'größe' is no name: letters a-z, digits and _",
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, input_data={"größe": 1}),
            (None, "input_data.größe"),
            "'größe' is no name: letters a-z, digits and _",
        ),
        (
            graph({"a": code("{{b}}"), "b": code("1")}, *STRAIGHT, "a b"),
            ("a", "code"),
            "{{b}}: 'b' does not come before this node",
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, input_data={"a": "string"}),
            ("a", "output_mapping"),
            "'a' is an input already",
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, input_data={"x": {"type": "text"}}),
            (None, "input_data.x.type"),
            "there is no type 'text'",
        ),
        (
            graph({"a": code("1")}, *STRAIGHT, input_data={"x": {"type": "number", "default": "1"}}),
            (None, "input_data.x.default"),
            "'x' is to be of type number, not string",
        ),
        (
            graph({"c": check([{"variable": "x", "operator": "~", "value": 1}]), "a": code("1")}, "START c", "c a"),
            ("c", "conditions[0].criteria[0].operator"),
            "there is no operator '~'",
        ),
        (
            graph({"c": check([{"variable": "x", "operator": "=="}]), "a": code("1")}, "START c", "c a"),
            ("c", "conditions[0].criteria[0].value"),
            "a criterion needs a value",
        ),
        (
            graph(
                {"c": check([{"variable": "x", "operator": "==", "value": 1}]), "a": code("1")}, "START c", "START a"
            ),
            ("c", "conditions[0].then"),
            "'a' is no node that an edge leads to from here",
        ),
        (
            graph({"a": {"type": "model", "metadata": {"model": "m"}}}, *STRAIGHT),
            ("a", "messages"),
            "a model node needs a list",
        ),
    ],
)
def test_a_fault_says_where_and_what(document, where, message):
    found = [text for node, field, text in faults(document) if (node, field) == where]
    assert any(text.startswith(message) for text in found), faults(document)


def test_all_faults_come_at_once():
    found = faults(graph({"a": code("{{x.y}}"), "b": {"type": "nope"}}, *STRAIGHT, "a zz", selectedOutput="q"))
    assert {(node, field) for node, field, _ in found} == {
        ("a", "code"),
        ("b", "type"),
        (None, "edges[2]"),
        (None, "selectedOutput"),
    }


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (
            graph({"a": {"type": "cod"}, "b": code("{{a}}")}, "START a", "a b", "b END", selectedOutput="a"),
            {("a", "type")},
        ),
        (
            graph(
                {"a": {"type": "cod", "metadata": {"timeout": -1, "code": 5, "output_mapping": {"v": "a..b"}}}},
                *STRAIGHT,
                selectedOutput="v",
            ),
            {("a", "type"), ("a", "timeout"), ("a", "output_mapping.v")},
        ),
        (
            graph({"a": {"type": "cod"}}, *STRAIGHT, selectedOutput="q", settings={"max_visits": 0}),
            {("a", "type"), (None, "selectedOutput"), (None, "settings.max_visits")},
        ),
        (
            graph({f"n{n}": code("1") for n in range(501)}, *(f"START n{n}" for n in range(501)), "n1 zz"),
            {(None, "nodes"), (None, "edges[501]")},
        ),
        (graph({}, "START a", settings={"max_visits": 0}), {(None, "nodes"), (None, "settings.max_visits")}),
        (
            graph({"a": code("[{{t}}, {{x.y}}, {{z}}]")}, *STRAIGHT, input_data={"t": "string", "x": {"type": "text"}}),
            {(None, "input_data.x.type"), ("a", "code")},
        ),
        (graph({"a": code("{{t.x}}")}, *STRAIGHT, input_data=[{"name": "u"}, {}]), {(None, "input_data")}),
        (
            graph(
                {"a": {"type": "code", "metadata": 5}, "b": code("{{v}}")},
                "START a",
                "a b",
                selectedOutput="v",
                input_data={"t": 1},
            ),
            {("a", "metadata")},
        ),
        (
            graph(
                {"a": code("1", output_mapping=[]), "b": code("{{v}}")},
                "START a",
                "a b",
                selectedOutput="v",
                input_data={"t": 1},
            ),
            {("a", "output_mapping")},
        ),
        (
            graph({"a": code("1"), "b": code("{{a}} + {{zz.x}}")}, "START a", "aa b", "b END"),
            {(None, "edges[1]"), ("b", "code")},
        ),
        (
            graph({"c": check([{"variable": "x", "operator": "==", "value": 1}]), "a": code("1")}, "START c", "c aa"),
            {(None, "edges[1]")},
        ),
        (
            graph({"a": code("1"), "c": {"type": "condition"}}, "START a", "a c", "c a", "c END", settings=[]),
            {("c", "type"), (None, "settings")},
        ),
    ],
)
def test_what_only_follows_from_a_fault_is_none(document, places):
    assert {(node, field) for node, field, _ in faults(document)} == places


def says(variable):
    return code("1", output_mapping={variable: "data.results"})


def choice(*ways):
    criteria = [{"variable": "n", "operator": "==", "value": 1}]
    return {"type": "conditional", "metadata": {"conditions": [{"criteria": criteria, "then": way} for way in ways]}}


@pytest.mark.parametrize(
    ("nodes", "edges", "lost"),
    [
        ({"a": says("v"), "b": says("v")}, "START a, START b", 1),
        ({"a": says("v"), "b": says("v"), "c": says("v")}, "START a, START b, START c", 2),
        ({"a": says("v"), "b": says("v"), "c": says("v")}, "START a, a b, a c", 1),
        ({"a": says("b"), "b": code("1")}, "START a, START b", 1),
        ({"a": says("b"), "b": says("w")}, "START a, START b", 0),
        ({"a": says("v"), "b": says("v")}, "START a, a b", 0),
        # of the ways of one conditional a run goes one
        ({"q": choice("a", "b"), "a": says("v"), "b": says("v")}, "START q, q a, q b", 0),
        ({"q": choice("a", "b"), "a": says("v"), "b": code("1"), "c": says("v")}, "START q, q a, q b, b c", 0),
        ({"q": choice("a", "b"), "a": says("v"), "b": says("v")}, "START q, q a, q b, START b", 1),
        ({"q": choice("r"), "r": code("1"), "a": says("v"), "b": says("v")}, "START q, q r, r a, r b", 1),
        ({"p": choice("a"), "q": choice("b"), "a": says("v"), "b": says("v")}, "START p, START q, p a, q b", 1),
        # in which round of a loop which way was gone, nobody can say
        (
            {"r": code("1"), "q": choice("r", "a", "b"), "a": says("v"), "b": says("v")},
            "START r, r q, q r, q a, q b",
            0,
        ),
    ],
)
def test_two_results_of_one_name_are_a_fault_where_a_run_has_both(nodes, edges, lost):
    document = graph(nodes, *edges.split(", "), input_data={"n": 1}, settings={"max_visits": 3})
    if not lost:
        assert read_graph(document)
        return
    found = faults(document)
    assert [field for _, field, _ in found] == ["output_mapping"] * lost
    assert all("gives too, and neither comes after the other: rename one" in message for _, _, message in found)


@pytest.mark.parametrize("seed", range(60))
def test_nodes_run_together_if_there_are_choices_with_which_they_do(seed):
    chance = random.Random(seed)
    names = [f"n{n}" for n in range(8)]
    edges = {name: [later for later in names[place + 1 :] if chance.random() < 0.3] for place, name in enumerate(names)}
    edges["START"] = [names[0], *(name for name in names[1:] if chance.random() < 0.15)]
    choosing = [name for name in names if len(edges[name]) > 1 and chance.random() < 0.5]
    runs = [
        reachable(["START"], edges | {name: [way] for name, way in zip(choosing, ways, strict=True)})
        for ways in product(*(edges[name] for name in choosing))
    ]
    reached = reachable(["START"], edges)
    found = together(components(names, edges), reverse(edges), reached.difference(choosing))
    before = {name: reachable([name], reverse(edges)) for name in names}
    for one, other in combinations(sorted(reached - {"START"}), 2):
        if one not in before[other]:
            assert (one in found[other]) is (other in found[one]) is any({one, other} <= run for run in runs)


def test_braces_that_are_meant_as_text_are_no_fault():
    described = model(
        "{{'{{'}}name}} {{q}}", description="Fills {{ name | upper }}", output_mapping={"said": "choices"}
    )
    read = read_graph(graph({"a": described, "b": code("f'{{1 + 1}}', '{{ said | upper }}'")}, "START a", "a b"))
    assert set(read.inputs) == {"q"}


def test_undeclared_inputs_are_what_nothing_provides():
    read = read_graph(graph({"a": code("{{prompt}}"), "b": code("'{{a.data}} {{tone}}'")}, "START a", "a b", "b END"))
    assert set(read.inputs) == {"prompt", "tone"}
    assert all(one.required for one in read.inputs.values())


def test_components_are_in_topological_order_with_loops_together():
    edges = {"e": ["a"], "a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []}
    assert components(["d", "c", "b", "a", "e"], edges) == [["e"], ["c", "b", "a"], ["d"]]
    long = {str(n): [str(n + 1)] for n in range(5000)}
    assert len(components([str(n) for n in range(5001)], long)) == 5001
