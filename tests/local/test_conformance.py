"""The documented examples, made again: a real server runs what they ran, and answers what they answered.

Each answer is compared whole, value by value and in the order of its members, but for ids and times, which
have their documented form, and for what is the server's own and stands in a list here.
"""

import re
import uuid

import pytest
from scripted import Scripted

from .embedded import LocalServer
from .graphs import code, graph

RUN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
WORKFLOW_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00")
OUR_OWN_OF_A_RUN = ["idempotency_key"]
VOLATILE = ("id", "start_time", "end_time", "elapsed_time")


@pytest.fixture(scope="module")
def endpoint():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture(scope="module")
def server(endpoint, tmp_path_factory):
    running = LocalServer(tmp_path_factory.mktemp("documented"), ORCHESTRA_MODEL_BASE_URL=endpoint.base_url).start()
    yield running
    running.close()


@pytest.fixture
def says(endpoint):
    """Let the model answer with a text, or with a whole completion."""

    def says(answer):
        whole = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
        endpoint.on("POST", "/chat/completions", answer if isinstance(answer, dict) else whole)

    return says


def model(name, prompt, **more):
    """Return the graph of the documented runs: one model that is asked for one input."""
    metadata = {"description": "Model node", "messages": [{"role": "user", "content": prompt}], **more}
    node = {"type": "model", "metadata": {"model": "virtuoso-medium", **metadata}}
    return graph({name: node}, f"START {name}", f"{name} END")


def alike(ours, documented, volatile, own=()):
    """Compare an answer with an example, the members that differ each time by their form alone."""
    assert list(ours) == [*documented, *own]
    for name in volatile:
        assert type(ours[name]) is type(documented[name]), name
        if name.endswith("_time") and isinstance(documented[name], str):
            assert RUN_TIME.fullmatch(ours[name]), name
    kept = [name for name in documented if name not in volatile]
    assert {name: ours[name] for name in kept} == {name: documented[name] for name in kept}


@pytest.mark.parametrize(
    ("example", "node", "selected"),
    [("run-details.example.json", "model_1", None), ("run-history.example.json", "model", "model")],
    ids=["outputs are all_outputs", "outputs are a text"],
)
def test_a_run(server, says, sample, example, node, selected):
    [documented] = sample(example)
    says(documented["all_outputs"][node])
    [name] = documented["inputs"]
    asked = model(node, "{{" + name + "}}") | ({"selectedOutput": selected} if selected else {})
    workflow = server.upload(asked, name=example)
    path = f"/workflows/{workflow}"
    answer = server.request("POST", f"{path}/execute", json=documented["inputs"]).json()
    alike(answer, sample("execute.response.example.json"), ["run_id"])
    assert str(uuid.UUID(answer["run_id"])) == answer["run_id"]
    server.run(workflow, answer["run_id"])
    [run] = server.get(f"{path}/runs/{answer['run_id']}")
    alike(run, documented, VOLATILE, OUR_OWN_OF_A_RUN)
    assert run["id"] == answer["run_id"]
    assert list(run["all_outputs"]) == list(documented["all_outputs"])
    assert server.get(f"{path}/runs") == [run]


def test_a_step(server, says, sample):
    [documented] = sample("run-steps.example.partial.json")
    says(documented["outputs"])
    call = {name: value for name, value in documented["inputs"].items() if name not in ("run_id", "input_data")}
    [message] = call.pop("messages")
    prompt = {"prompt": message["content"]}
    workflow = server.upload(model("model", "{{prompt}}", **call), name="step")
    run = server.finish(workflow, prompt)
    [step] = server.steps(workflow, run["id"])
    # The example stops in the prompt, and says of tokens and metadata nothing: ours show the use and the endpoint.
    documented["inputs"] |= {"run_id": run["id"], "input_data": prompt}
    alike(step, documented, [*VOLATILE, "user_id", "organization_id"], ["step_metadata", "tokens"])
    assert list(step["outputs"]) == list(documented["outputs"])
    assert set(step["inputs"]) == set(documented["inputs"])
    assert step["tokens"] == documented["outputs"]["usage"]["total_tokens"]
    assert run["all_outputs"]["model"] == documented["outputs"]["choices"][0]["message"]["content"]


def test_a_workflow_of_the_list(server, sample):
    [documented] = sample("list-workflows.example.partial.json")
    workflow = server.upload(documented["graph"], name="documented")
    [ours] = [one for one in server.get("/workflows") if one["workflow_id"] == workflow]
    # the example stops inside its graph
    rest = ["name", "status", "updated_at", "updated_by", "version", "public"]
    own_values = ["workflow_id", "user_id", "organization_id", "created_at", "created_by", "file_metadata"]
    alike(ours, documented, own_values, rest)
    assert list(ours["file_metadata"]) == list(documented["file_metadata"])
    assert all(isinstance(one, str) for one in ours["file_metadata"].values())
    assert all(WORKFLOW_TIME.fullmatch(ours[name]) for name in ("created_at", "updated_at"))
    assert (ours["status"], ours["version"], ours["public"]) == ("active", 1, False)
    assert server.get(f"/workflows/{workflow}") == ours


def test_the_documented_graph_runs(server, says, sample, endpoint):
    says("Hi!")
    workflow = server.upload(sample("hi-workflow.graph.json"), name="hi")
    run = server.finish(workflow)
    assert (run["outputs"], run["all_outputs"]) == ("Hi!", {"model_1": "Hi!"})
    assert endpoint.posts[-1].json["messages"] == [{"role": "user", "content": "say hi"}]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_output_of_code(server, sample, number):
    [(name, documented)] = sample("code-node.outputs.examples.json")[number].items()
    data = documented["data"]
    workflow = server.upload(
        graph({name: code("import sys\nsys.stdout.write({{out}})\n{{value}}")}, f"START {name}", f"{name} END"),
        name="code",
    )
    run = server.finish(workflow, {"out": data["stdout"], "value": data["results"]})
    ours = run["all_outputs"][name]
    # Older output has the first spelling alone; ours has both.
    assert ours.keys() == {*documented, "successful"}
    alike(ours["data"], data, ["sandbox_id"])
    assert re.fullmatch("sandbox-[0-9a-f]{4}", ours["data"]["sandbox_id"])
    assert {**ours, "data": None} == {**documented, "successful": True, "data": None}


def test_a_diagram(server, sample):
    documented = sample("diagram.response.example.json")
    nodes = {"model": code("1", description="Model node"), "slack_integration": code("2")}
    edges = ("START model", "model slack_integration", "slack_integration END")
    workflow = server.upload(graph(nodes, *edges), name="diagram")
    ours = server.get(f"/workflows/{workflow}/diagram")
    assert list(ours) == list(documented)
    # the edges are in no order
    assert sorted(ours["diagram"].splitlines()) == sorted(documented["diagram"].splitlines())
    assert ours["diagram"].splitlines()[0] == "graph TD"
