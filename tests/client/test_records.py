"""The documented answers and each of their quirks, read rightly.

The samples are from the documentation pages Workflow Runs, Workflow Execution Steps, Execution History and
List Available Workflows of Arcee Orchestra.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestra_magic.client import discovery, records
from orchestra_magic.client.workflow import workflow
from orchestra_magic.local.inputs import read_inputs

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def test_run_details_page() -> None:
    state = records.run_state(sample("run-details.example"), "THE_RUN_ID")
    assert state is not None
    assert (state.id, state.status, state.finished, state.succeeded) == ("THE_RUN_ID", "completed", True, True)
    assert state.inputs == {"query": "Hello from Python"}
    assert state.outputs == {"query": "Hello from Python", "model_1": "Hello there! How can I assist you today?"}
    assert state.duration == pytest.approx(0.726324)  # the server says 0
    assert state.started_at == datetime(2025, 4, 24, 3, 18, 12, 322630, tzinfo=timezone.utc)


def test_history_page() -> None:
    (state,) = records.run_states(sample("run-history.example"))
    assert state.id == "a40d4d53-7e5e-432b-8f23-8afdc53eefa3"
    assert isinstance(state.outputs, str)
    assert state.outputs.startswith("Here's a weather-related joke")
    assert state.all_outputs["prompt"] == "Tell me a joke about the weather"


def test_steps_page() -> None:
    (step,) = records.steps(sample("run-steps.example.partial"))
    assert (step.id, step.node, step.status) == ("b2acc986-af06-418a-bf71-c730d5ghaf0b", "model", "completed")
    assert step.outputs["choices"][0]["message"]["content"].startswith("Why was the weather forecast sad?")
    assert step.tokens == 84  # from the completion: the server's own count is not there
    assert step.duration == pytest.approx(2.237692)


def test_list_page() -> None:
    listed = workflow(sample("list-workflows.example.partial")[0])
    assert listed.id == "1234f567-bb12-1234-b7cd-f7a71a98cd24"
    assert listed.created_at == datetime(2025, 3, 12, 0, 59, 55, 465508, tzinfo=timezone.utc)
    assert listed.graph["selectedOutput"] == "model_1"
    assert listed.named_inputs == ()  # none declared, and the cut canvas does not parse
    assert listed.description.startswith("A workflow that sends a simple")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ([{"id": "r", "status": "running"}], "running"),
        ({"id": "r", "status": "running"}, "running"),
        ([{"id": "other", "status": "failed"}, {"id": "r", "status": "Running"}], "running"),
        ([{"status": "queued"}], "queued"),
        ([{"id": "r"}], "unknown"),
        ([{"id": "r", "status": None, "surprise": 1}], "unknown"),
        ([], None),
        (None, None),
        ("no", None),
    ],
)
def test_one_run_in_every_form(data: Any, found: str | None) -> None:
    state = records.run_state(data, "r")
    assert (state.status if state else None) == found
    assert state is None or state.id in {"r", "other"}


@pytest.mark.parametrize("outputs", ["text", {"a": 1}, [1, 2], 3, 0.5, True, None])
def test_outputs_are_any_value(outputs: Any) -> None:
    state = records.run_state([{"id": "r", "status": "completed", "outputs": outputs}])
    assert state is not None
    assert state.outputs == outputs
    assert type(state.outputs) is type(outputs)


@pytest.mark.parametrize(
    ("members", "finished", "succeeded"),
    [
        ({"status": "completed"}, True, True),
        ({"status": "SUCCESS"}, True, True),
        ({"status": "failed"}, True, False),
        ({"status": "cancelled"}, True, False),
        ({"status": "timed_out"}, True, False),
        ({"status": "pondering"}, False, False),
        ({"status": "pondering", "end_time": "2025-04-24T03:18:13Z"}, True, True),
        ({"status": "pondering", "error": "boom"}, True, False),
        ({"status": "completed", "error": "boom"}, True, False),
        ({"status": "running", "error": ""}, False, False),
        ({"status": "running", "error": None}, False, False),
        ({}, False, False),
    ],
)
def test_when_a_run_is_over(members: dict[str, Any], finished: bool, succeeded: bool) -> None:
    state = records.run_state([{"id": "r", **members}])
    assert state is not None
    assert (state.finished, state.succeeded) == (finished, succeeded)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-04-24T03:18:12.322630Z", "2025-04-24T03:18:12.322630+00:00"),
        ("2025-03-12 00:59:55.465508+00:00", "2025-03-12T00:59:55.465508+00:00"),
        ("2025-04-24T03:18:12Z", "2025-04-24T03:18:12+00:00"),
        ("2025-04-24T03:18:12.3Z", "2025-04-24T03:18:12.300000+00:00"),
        ("2025-04-24T03:18:12.123456789Z", "2025-04-24T03:18:12.123456+00:00"),
        ("2025-04-24T05:18:12+02:00", "2025-04-24T03:18:12+00:00"),
        ("2025-04-24T03:18:12", "2025-04-24T03:18:12+00:00"),
        ("yesterday", None),
        ("", None),
        (1745464692, None),
        (None, None),
    ],
)
def test_times(text: Any, iso: str | None) -> None:
    time = records.moment(text)
    assert (time.isoformat() if time else None) == iso


def test_an_error_that_is_an_object_is_text() -> None:
    state = records.run_state([{"id": "r", "error": {"code": 7}}])
    assert state is not None
    assert state.error == '{"code": 7}'


def test_steps_come_in_the_order_they_began() -> None:
    late = {"node_id": "b", "start_time": "2025-03-13T02:41:16Z"}
    early = {"node_id": "a", "start_time": "2025-03-13T02:41:15.5Z"}
    assert [step.node for step in records.steps([late, {"node_id": "c"}, early, "junk"])] == ["a", "b", "c"]


@pytest.mark.parametrize(("said", "notes"), [({"quality": "demo"}, {"quality": "demo"}), (None, {}), ("junk", {})])
def test_what_a_server_notes_of_a_step(said: object, notes: object) -> None:
    assert records.step({"node_id": "a", "step_metadata": said}).notes == notes


GRAPH = {
    "nodes": {
        "one": {"type": "code", "metadata": {"code": "len({{rows}})"}},
        "two": {"type": "model", "metadata": {"messages": [{"content": "{{ one.data.results }} {{topic}} {{x}}"}],
                                              "output_mapping": {"x": "choices[0]"}}},
    }
}  # fmt: skip
CANVAS = json.dumps({"nodes": [{"type": "start", "data": {"inputData": [{"name": "c", "type": "number"}, "d"]}}]})


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        (GRAPH, [("rows", None, "template"), ("topic", None, "template")]),
        (GRAPH | {"node_metadata": CANVAS}, [("c", "number", "canvas"), ("d", None, "canvas")]),
        (
            GRAPH | {"node_metadata": CANVAS, "input_data": {"a": {"type": "int"}, "b": "string", "n": 3, "z": None}},
            [("a", "integer", "declared"), ("b", "string", "declared"), ("n", "integer", "declared"), ("z", None, "declared")],
        ),
        (GRAPH | {"input_data": [{"name": "a"}]}, [("a", None, "declared")]),
        ({"nodes": [], "input_data": 7, "node_metadata": "{cut"}, []),
    ],
)  # fmt: skip
def test_inputs_by_the_ladder(graph: dict[str, Any], found: list[tuple[str, str | None, str]]) -> None:
    assert [(each.name, each.type, each.source) for each in discovery.from_graph(graph)] == found


def test_inputs_declared_whole() -> None:
    said = {"mood": {"type": "string", "description": "how", "default": "calm", "enum": ["calm", "wild"]},
            "n": {"required": True}}  # fmt: skip
    mood, n = discovery.from_graph({"input_data": said})
    assert (mood.default, mood.has_default, mood.enum, mood.required) == ("calm", True, ("calm", "wild"), False)
    assert (n.required, n.has_default) == (True, False)


DECLARED = ["string", "just a default", 3, None, {}, {"type": "string"}, {"default": None}, {"required": False},
            {"required": True}, {"required": True, "default": 1}, {"type": "object", "required": ["a"]}]  # fmt: skip


@pytest.mark.parametrize("said", DECLARED)
def test_what_is_required_is_what_the_embedded_server_requires(said: Any) -> None:
    written = [{"wish": said}, *([[{"name": "wish", **said}]] if isinstance(said, dict) else [])]
    for data in written:
        (known,) = discovery.from_graph({"input_data": data})
        assert known.required is read_inputs({"input_data": data})[0]["wish"].required


def test_inputs_of_earlier_runs() -> None:
    found = discovery.from_history([{"a": 1, "b": None}, {"c": [1]}, {"a": "late"}])
    assert [(each.name, each.type, each.source) for each in found] == [
        ("a", "integer", "history"), ("b", None, "history"), ("c", "array", "history")]  # fmt: skip
