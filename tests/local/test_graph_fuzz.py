"""Graphs that somebody damaged: whatever stands wherever, an upload is taken or says where its faults are."""

import copy
import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra_magic.local.graph import GraphError, read_graph

from .graphs import code, graph

JUNK = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, 1e308, 10**40, "", "x", "{{", "{{x}}", "{{a.b[0]}}", 'é\n"]', [], [[]], [1], {}),
        *({"x": []}, ["string"], {"type": ["string"]}, {"type": "string", "default": 5}, {"then": [], "criteria": 5}),
    ]
)
WHOLE = graph(
    {
        "ask": {
            "type": "model",
            "metadata": {"model": "m", "top_p": 1, "messages": [{"role": "user", "content": "{{q}}"}]},
        },
        "run": code("{{ask}}", timeout=5, retries=1, sandbox="local", output_mapping={"n": "data.results"}),
        "choose": {
            "type": "conditional",
            "metadata": {
                "conditions": [
                    {
                        "name": "c",
                        "match": "or",
                        "criteria": [{"variable": "n", "operator": ">", "value": 1}],
                        "then": "get",
                    }
                ],
                "else": "find",
            },
        },
        "get": {
            "type": "integration",
            "metadata": {
                "integration": "http_request",
                "url": "http://example.org",
                "headers": {"A": "b"},
                "secret_headers": {"X": "KEY"},
            },
        },
        "find": {
            "type": "knowledge_retrieval",
            "metadata": {"knowledge_base": "b", "query": "{{q}}", "top_k": 3, "mode": "vector"},
        },
    },
    *("START ask", "ask run", "run choose", "choose get", "choose find", "get END", "find END"),
    settings={"max_visits": 2},
    input_data={"q": {"type": "string", "default": "x", "enum": ["x"]}, "r": "integer", "s": 5},
    selectedOutput="run",
    description="all of it",
)


def places(value, above=()):
    """Yield the way to everything in a JSON value."""
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*above, key))


PLACES = list(places(WHOLE))


def replaced(document, way, junk):
    if not way:
        return junk
    *outer, last = way
    holder = document
    for key in outer:
        holder = holder[key]
    holder[last] = junk
    return document


def read(document):
    """Return the graph, or None for one that says where its faults are."""
    faults = []
    try:
        return read_graph(document)
    except GraphError as error:
        faults = error.faults
    assert faults
    assert all(isinstance(one.field, str) and one.message for one in faults)
    json.dumps([vars(one) for one in faults])
    return None


def test_what_is_damaged_is_whole():
    assert read(WHOLE).inputs.keys() == {"q", "r", "s"}


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), JUNK, st.sampled_from(PLACES), JUNK)
def test_junk_anywhere_is_a_fault_or_harmless(first, junk, second, more):
    document = replaced(copy.deepcopy(WHOLE), first, copy.deepcopy(junk))
    with suppress(KeyError, IndexError, TypeError):  # the first may have taken the place away
        document = replaced(document, second, copy.deepcopy(more))
    found = read(document)
    if found is not None:
        with suppress(ValueError):
            found.complete({"q": "x", "r": 1})
        json.dumps([one.metadata for one in found.nodes.values()])


def test_junk_at_each_place_alone():
    junk = [None, True, 5, "x", [], [[]], {}, {"x": []}, ["string"]]
    for way in PLACES:
        for one in junk:
            read(replaced(copy.deepcopy(WHOLE), way, copy.deepcopy(one)))
