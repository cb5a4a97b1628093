import shutil
import threading
import time
from datetime import datetime, timezone

import jsonschema
import pytest

from .graphs import code, graph

RUN_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
NAMES = {"hello", "say-hi", "countdown", "group-summary"}
OURS_IN_A_RUN = ["idempotency_key"]


def moment(text, form=RUN_TIME):
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def members(answer, documented, ours=()):
    """Two answers have the same members, in the same order; those of our own come after them."""
    return list(answer) == [*documented, *ours]


def test_list_is_as_documented(local_server):
    workflows = local_server.get("/workflows")
    assert {one["name"] for one in workflows} >= NAMES
    documented = [
        *("workflow_id", "user_id", "organization_id", "created_at", "created_by", "description", "file_metadata"),
        *("graph", "name", "status", "updated_at", "updated_by", "version", "public"),
    ]
    for one in workflows:
        assert list(one) == documented
        assert set(one["file_metadata"]) == {"bucket", "url", "key"}
        moment(one["created_at"], "%Y-%m-%d %H:%M:%S.%f+00:00")


def test_shipped_workflows_have_the_same_ids_everywhere(local_server):
    assert local_server.id_of("group-summary") == "f3e1a0c2-5b7d-5c11-9a01-000000000004"


def test_execute_and_run_are_as_documented(local_server, sample):
    workflow = local_server.id_of("hello")
    response = local_server.request("POST", f"/workflows/{workflow}/execute", json={"name": "Ada"})
    answer = response.json()
    assert members(answer, sample("execute.response.example.json"))
    assert answer["message"] == "Workflow execution started"
    moment(response.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
    run = local_server.run("hello", answer["run_id"])
    assert members(run, sample("run-details.example.json")[0], OURS_IN_A_RUN)
    assert run["id"] == answer["run_id"]
    assert run["inputs"] == {"name": "Ada"}
    assert run["all_outputs"] == {"name": "Ada", "greeting": "Hello, Ada!"}
    assert run["outputs"] == "Hello, Ada!"
    assert (run["status"], run["error"], run["elapsed_time"]) == ("completed", None, 0)
    began, ended = (moment(run[name]) for name in ("start_time", "end_time"))
    assert began <= ended
    assert abs((datetime.now(timezone.utc) - ended).total_seconds()) < 60


def test_steps_are_as_documented(local_server, sample):
    documented = [
        *("id", "user_id", "organization_id", "node_id", "status", "start_time", "end_time"),
        *("elapsed_time", "error", "outputs", "inputs", "step_metadata", "tokens"),
    ]
    run = local_server.finish("hello")
    [step] = local_server.steps("hello", run["id"])
    assert members(step, documented)
    assert set(sample("run-steps.example.partial.json")[0]) <= set(documented)
    assert step["node_id"] == "greet"
    assert step["inputs"]["run_id"] == run["id"]
    assert step["inputs"]["input_data"] == {"name": "world"}
    assert (step["step_metadata"], step["tokens"], step["error"]) == (None, 0, None)
    moment(step["start_time"])


def test_history_pages_newest_first(local_server, sample):
    workflow = local_server.upload(graph({"a": code("{{n}}")}, "START a", "a END"), name="history")
    ids = [local_server.finish(workflow, {"n": n})["id"] for n in range(5)]
    history = local_server.get(f"/workflows/{workflow}/runs")
    assert [run["id"] for run in history] == ids[::-1]
    assert members(history[0], sample("run-history.example.json")[0], OURS_IN_A_RUN)
    page = local_server.get(f"/workflows/{workflow}/runs", params={"limit": 2, "offset": 1})
    assert [run["inputs"]["n"] for run in page] == [3, 2]
    assert local_server.get(f"/workflows/{workflow}/runs", params={"offset": 99}) == []
    assert local_server.request("GET", f"/workflows/{workflow}/runs?limit=-1").status_code == 400


def test_the_quickstart_answers_its_question(local_server):
    table = [
        {"species": "Adelie", "mass": 3700},
        {"species": "Gentoo", "mass": 5000},
        {"species": "Gentoo", "mass": 5200},
        {"species": "Gentoo", "mass": None},
    ]
    run = local_server.finish("group-summary", {"table": table, "group_by": "species", "value": "mass"})
    assert run["outputs"] == {
        "finding": "Gentoo has the highest mean mass, 5,100: 1,400 more than Adelie (38% more).",
        "summary": [
            {"species": "Gentoo", "mean": 5100, "rows": 2},
            {"species": "Adelie", "mean": 3700, "rows": 1},
        ],
        "left_out": 1,
    }
    nodes = [step["node_id"] for step in local_server.steps("group-summary", run["id"])]
    assert nodes == ["summarise", "several_groups", "compare", "report"]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"table": [{"g": "a", "v": 1}]}, "There is one group only, a, with 1: nothing to compare."),
        ({"table": []}, "No row has both g and a number in v: there is nothing to compare."),
        ({"statistic": "count"}, "a and b share the highest number of rows: 1."),
        ({"statistic": "median"}, "a has the highest median v, 4: 3 more than b (300% more)."),
    ],
)
def test_group_summary(local_server, changes, finding):
    inputs = {"table": [{"g": "a", "v": 4}, {"g": "b", "v": 1}], "group_by": "g", "value": "v"}
    assert local_server.finish("group-summary", inputs | changes)["outputs"]["finding"] == finding


def test_group_summary_with_a_column_that_is_not_there(local_server):
    run = local_server.finish("group-summary", {"table": [{"g": "a"}], "group_by": "g", "value": "w"})
    assert run["status"] == "failed"
    assert run["error"] == (
        "several_groups: {{groups}} has no value, because 'summarise' failed: "
        "ValueError: the table has no column 'w'; it has: g"
    )


def test_a_model_without_endpoint_fails_and_says_how_to_have_one(local_server):
    run = local_server.finish("say-hi")
    assert run["status"] == "failed"
    assert "model_1: there is no model to ask" in run["error"]
    assert "ORCHESTRA_MODEL_BASE_URL" in run["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("POST", "/workflows/{summary}/execute", {}, 400, "missing required inputs: 'table', 'group_by', 'value'"),
        ("POST", "/workflows/{summary}/execute", [], 400, "the body is to be a JSON object"),
        ("POST", "/workflows/{summary}/execute", b"{", 400, "the body is not JSON"),
        ("POST", "/workflows/{summary}/execute", b'{"a": NaN}', 400, "the body is not JSON: NaN is not JSON"),
        ("POST", "/workflows/{summary}/execute", b'{"a": 1e999}', 400, "the body is not JSON: 1e999 is too large"),
        ("POST", "/workflows/{summary}/execute", b"[" * 100_000, 400, "the body is not JSON: nested too deeply"),
        ("POST", "/workflows/{summary}/execute", b"\xff\xfe", 400, "the body is not JSON"),
        ("POST", "/workflows/nope/execute", {}, 404, "there is no workflow nope"),
        ("GET", "/workflows/nope", None, 404, "there is no workflow nope"),
        ("GET", "/workflows/{summary}/runs/nope", None, 404, "workflow {summary} has no run nope"),
        ("GET", "/workflows/{summary}/runs/nope/steps", None, 404, "workflow {summary} has no run nope"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("PATCH", "/workflows", None, 405, "Method Not Allowed"),
    ],
)
def test_refusals(local_server, method, path, body, status, detail):
    summary = local_server.id_of("group-summary")
    given = {"data": body} if isinstance(body, bytes) else {"json": body}
    response = local_server.request(method, path.format(summary=summary), **given)
    assert response.status_code == status
    assert response.json()["detail"].startswith(detail.format(summary=summary))


def test_a_run_belongs_to_its_workflow(local_server):
    run = local_server.finish("hello")
    path = f"/workflows/{local_server.id_of('countdown')}/runs/{run['id']}"
    assert local_server.request("GET", path).status_code == 404


def test_the_description_covers_every_route_and_every_member(local_server):
    root = local_server.base_url.removesuffix("/api/v1/workflow")
    document = local_server.http.get(f"{root}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    operations = {(method, path) for path, one in document["paths"].items() for method in one}
    assert ("post", "/api/v1/workflow/workflows/{workflow_id}/execute") in operations
    assert len(operations) == 19
    schemas = document["components"]["schemas"]
    run = local_server.finish("hello")
    answers = {
        "Workflow": local_server.get("/workflows")[0],
        "Run": run,
        "Step": local_server.steps("hello", run["id"])[0],
        "Status": local_server.http.get(f"{root}/status").json(),
    }
    for name, answer in answers.items():
        jsonschema.validate(answer, {**schemas[name], "components": document["components"]})
        assert set(schemas[name]["properties"]) == set(answer)


def test_the_guard(local_server):
    url = local_server.base_url + "/workflows"
    ask = local_server.http.get
    assert ask(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert ask(url, headers={"Authorization": None}).status_code == 401
    strange = ask(url, headers={"Host": "evil.example", "Authorization": "Bearer wrong"})
    assert strange.status_code == 421
    assert "loopback" in strange.json()["detail"]
    port = url.split(":")[2].split("/")[0]
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "LOCALHOST"):
        assert ask(url, headers={"Host": host}).status_code == 200
    for host in ("127.0.0.1.evil.example", "localhost.evil.example:80", ""):
        assert ask(url, headers={"Host": host}).status_code in (400, 421)
    preflight = local_server.http.options(url, headers={"Origin": "http://evil.example"})
    assert not [name for name in preflight.headers if name.lower().startswith("access-control")]


def test_a_body_that_is_too_large(local_server):
    url = f"{local_server.base_url}/workflows/{local_server.id_of('hello')}/execute"
    assert local_server.http.post(url, data=b"x" * 10_000_001).status_code == 413
    pieces = (b"x" * 1_000_000 for _ in range(11))
    assert local_server.http.post(url, data=pieces).status_code == 413


def test_an_idempotency_key_is_one_run(local_server):
    first = local_server.execute("hello", {"name": "a"}, **{"Idempotency-Key": "k-1"})
    assert local_server.execute("hello", {"name": "a"}, **{"Idempotency-Key": "k-1"}) == first
    assert local_server.execute("hello", {"name": "a"}, **{"Idempotency-Key": "k-2"}) != first
    for workflow, inputs in (("hello", {"name": "b"}), ("countdown", {"name": "a"})):
        path = f"/workflows/{local_server.id_of(workflow)}/execute"
        other = local_server.request("POST", path, json=inputs, headers={"Idempotency-Key": "k-1"})
        assert other.status_code == 422


def test_a_start_that_is_asked_again_is_the_same_run_whatever_became_of_the_workflow(local_server):
    first = graph({"a": code("{{x}}")}, "START a", "a END", input_data={"x": "object"})
    workflow = local_server.upload(first, name="changing")
    path = f"/workflows/{workflow}/execute"
    run_id = local_server.execute(workflow, {"x": {"a": 1, "b": 2}}, **{"Idempotency-Key": "k-5"})
    more = graph({"a": code("{{j}}")}, "START a", "a END", input_data={"j": {"type": "string", "required": True}})
    assert local_server.request("PUT", f"/workflows/{workflow}", json=more).status_code == 200

    def again(inputs, key="k-5"):
        return local_server.request("POST", path, json=inputs, headers={"Idempotency-Key": key})

    assert again({"x": {"b": 2, "a": 1}}).json()["run_id"] == run_id
    assert again({"x": {}}).status_code == 422
    assert again({"x": {}}, "k-6").status_code == 400
    assert local_server.request("DELETE", f"/workflows/{workflow}").status_code == 200
    assert again({"x": {"a": 1, "b": 2}}).json()["run_id"] == run_id
    assert again({"x": {}}, "k-6").status_code == 404


def test_a_run_says_the_key_it_was_started_with(local_server):
    workflow = local_server.upload(graph({"a": code("1")}, "START a", "a END"), name="keys")
    run_id = local_server.execute(workflow, **{"Idempotency-Key": "k-4"})
    assert local_server.run(workflow, run_id, wait=0)["idempotency_key"] == "k-4"
    assert local_server.run(workflow, run_id)["idempotency_key"] == "k-4"
    without = local_server.finish(workflow)
    assert without["idempotency_key"] is None
    history = local_server.get(f"/workflows/{workflow}/runs")
    assert [(run["id"], run["idempotency_key"]) for run in history] == [(without["id"], None), (run_id, "k-4")]


def test_the_same_key_at_the_same_moment_is_one_run(local_server):
    ids = []

    def post():
        ids.append(local_server.execute("hello", {"name": "c"}, **{"Idempotency-Key": "k-3"}))

    local_server.id_of("hello")
    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_waiting_answers_at_each_change(local_server):
    run_id = local_server.execute("countdown", {"seconds": 0.9})
    path = f"/workflows/{local_server.id_of('countdown')}/runs/{run_id}"
    tag, seen = None, []
    while not seen or not seen[-1]["end_time"]:
        headers = {"Prefer": "wait=20", "If-None-Match": tag} if tag else {}
        response = local_server.request("GET", path, headers=headers)
        assert response.status_code == 200
        assert response.headers["ETag"] != tag
        assert ("Preference-Applied" in response.headers) == bool(tag)
        tag = response.headers["ETag"]
        seen += response.json()
    ended = moment(seen[-1]["end_time"])
    assert (datetime.now(timezone.utc) - ended).total_seconds() < 0.25
    assert seen[-1]["outputs"] == "Lift-off after 0.9 s"
    # each of three steps began and ended, and some of that came together
    assert 3 <= len(seen) <= 9
    assert seen[0]["outputs"] is None
    # a finished run answers at once
    began = time.monotonic()
    again = local_server.request("GET", path, headers={"Prefer": "wait=20", "If-None-Match": tag})
    assert (again.status_code, again.headers["Preference-Applied"]) == (304, "wait")
    assert time.monotonic() - began < 1


def test_waiting_ends_with_its_time(local_server):
    run_id = local_server.execute("countdown", {"seconds": 30})
    path = f"/workflows/{local_server.id_of('countdown')}/runs/{run_id}"
    began = time.monotonic()
    [run] = local_server.get(path, headers={"Prefer": "respond-async, wait=1"})
    assert 0.9 < time.monotonic() - began < 3
    assert (run["status"], run["end_time"], run["outputs"]) == ("running", None, None)
    [step] = local_server.steps("countdown", run_id)
    assert (step["node_id"], step["status"], step["end_time"]) == ("three", "running", None)
    assert local_server.request("POST", f"{path}/cancel").json() == {"message": "Workflow execution cancelled"}
    cancelled = local_server.run("countdown", run_id, wait=0)
    assert (cancelled["status"], cancelled["error"]) == ("cancelled", "the run was cancelled")
    [step] = local_server.steps("countdown", run_id)
    assert step["status"] == "cancelled"
    again = local_server.request("POST", f"{path}/cancel")
    assert again.json() == {"message": "Workflow execution had already ended: cancelled"}


def test_upload_update_delete(local_server):
    first = graph({"a": code("1")}, "START a", "a END", description="one")
    response = local_server.request("POST", "/workflows", json={"name": "mine", "graph": first})
    workflow = response.json()
    assert (workflow["name"], workflow["version"], workflow["graph"]) == ("mine", 1, first)
    path = f"/workflows/{workflow['workflow_id']}"
    run = local_server.finish(workflow["workflow_id"])
    second = graph({"b": code("2")}, "START b", "b END")
    changed = local_server.request("PUT", path, json=second).json()
    assert (changed["version"], changed["name"], changed["created_at"]) == (2, "mine", workflow["created_at"])
    assert "b" in local_server.finish(workflow["workflow_id"])["all_outputs"]
    # the same graph again is no new version, and the same name is the same workflow
    assert local_server.request("PUT", path, json=second).json()["version"] == 2
    assert local_server.upload(first, name="mine") == workflow["workflow_id"]
    assert local_server.request("DELETE", path).json()["status"] == "inactive"
    assert local_server.request("GET", path).status_code == 404
    assert local_server.request("POST", f"{path}/execute", json={}).status_code == 404
    assert workflow["workflow_id"] not in [one["workflow_id"] for one in local_server.get("/workflows")]
    # what ran stays
    assert local_server.get(f"{path}/runs/{run['id']}") == [run]
    assert len(local_server.get(f"{path}/runs")) == 2


def test_trust_stays_as_it_was_where_nothing_is_said_of_it(local_server):
    document = graph({"a": code("1", sandbox="local")}, "START a", "a END")
    workflow = local_server.upload(document, name="distrusted", trusted=False)

    def sandbox(again):
        run = local_server.finish(again)
        return local_server.steps(again, run["id"])[0]["step_metadata"], run["error"]

    held = sandbox(workflow)
    assert held != (None, None)
    path = f"/workflows/{workflow}"
    changed = graph({"a": code("2", sandbox="local")}, "START a", "a END")
    assert local_server.request("PUT", path, json=changed).json()["version"] == 2
    assert sandbox(workflow) == held
    assert local_server.upload(document, name="distrusted") == workflow
    assert sandbox(workflow) == held
    local_server.request("PUT", path, json={"graph": changed, "trusted": True})
    assert sandbox(workflow) == (None, None)


def test_an_upload_without_a_name_is_the_same_each_time(local_server):
    bare = graph({"only": code("1")}, "START only", "only END")
    assert local_server.upload(bare) == local_server.upload(bare)


def test_a_faulty_upload_says_all_that_is_wrong(local_server):
    faulty = graph({"a": code("x = ("), "b": {"type": "slack"}}, "START a", "a c")
    response = local_server.request("POST", "/workflows", json={"graph": faulty, "name": 5})
    assert response.status_code == 400
    found = {(one["node"], one["field"]) for one in response.json()["detail"]}
    assert found == {("a", "code"), ("b", "type"), (None, "edges[1]"), (None, "name")}
    assert all(set(one) == {"node", "field", "message"} for one in response.json()["detail"])


def test_untrusted_code_runs_isolated_or_not_at_all(local_server):
    workflow = local_server.upload(graph({"a": code("1")}, "START a", "a END"), name="foreign", trusted=False)
    run = local_server.finish(workflow)
    if shutil.which("bwrap") is None:
        assert run["status"] == "failed"
        assert "bubblewrap is not installed" in run["error"]
        assert "upload the workflow again as trusted" in run["error"]
    local_server.upload(graph({"a": code("1")}, "START a", "a END"), name="foreign", trusted=True)
    assert local_server.finish(workflow)["status"] == "completed"
