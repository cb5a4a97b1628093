"""Uploads: whose code is trusted, what is refused, and many at the same moment."""

import asyncio
import threading
from contextlib import closing

import pytest

from orchestra_magic.local.store import DeletedError, NameTakenError, Store
from orchestra_magic.local.values import MAX_DEPTH

from .embedded import LocalServer
from .graphs import code, graph


def one_node(program="1", **more):
    return graph({"a": code(program)}, "START a", "a END", **more)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = LocalServer(tmp_path_factory.mktemp("uploads")).start()
    yield running
    running.close()


def held_back(server, workflow):
    """Tell whether a workflow is run as one that nobody trusts."""
    run = server.finish(workflow)
    return server.steps(workflow, run["id"])[0]["step_metadata"] is not None or run["error"] is not None


def together(*requests):
    """Do all at the same moment, and return what they answered."""
    barrier = threading.Barrier(len(requests))
    answers = [None] * len(requests)

    def ask(number, request):
        barrier.wait()
        answers[number] = request()

    threads = [threading.Thread(target=ask, args=one) for one in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_trust_is_heard_of_a_bare_graph_too(server):
    document = one_node(name="bare")
    response = server.request("POST", "/workflows", json={**document, "trusted": False})
    assert response.status_code == 200
    workflow = response.json()
    # what is about the upload is no part of the graph
    assert workflow["graph"] == document
    assert held_back(server, workflow["workflow_id"])
    path = f"/workflows/{workflow['workflow_id']}"
    assert server.request("PUT", path, json=document).json()["version"] == 1
    assert server.request("PUT", path, json={**document, "trusted": True}).json()["version"] == 2
    assert not held_back(server, workflow["workflow_id"])
    [fault] = server.request("POST", "/workflows", json={**document, "trusted": "no"}).json()["detail"]
    assert (fault["field"], fault["message"]) == ("trusted", "trusted is true or false")


@pytest.mark.parametrize(
    ("more", "field"),
    [({"trust": False}, "trust"), ({"Trusted": False}, "Trusted"), ({"workflow_id": "x"}, "workflow_id")],
)
def test_what_an_upload_does_not_know_is_refused(server, more, field):
    response = server.request("POST", "/workflows", json={"name": "typo", "graph": one_node(), **more})
    assert response.status_code == 400
    assert response.json()["detail"] == [
        {"node": None, "field": field, "message": "an upload holds graph, name and trusted, and nothing else"}
    ]
    assert "typo" not in [one["name"] for one in server.get("/workflows")]


def test_trust_inside_a_graph_is_not_passed_over(server):
    inside = one_node(trusted=False)
    for beside in ({}, {"trusted": None}):
        response = server.request("POST", "/workflows", json={"name": "inside", "graph": inside, **beside})
        assert [fault["field"] for fault in response.json()["detail"]] == ["graph.trusted"]
    assert held_back(server, server.upload(inside, name="inside", trusted=False))


def test_uploads_of_one_name_at_the_same_moment_are_one_workflow(server):
    graphs = [one_node(str(number)) for number in range(20)]

    def post(document):
        return lambda: server.request("POST", "/workflows", json={"name": "race", "graph": document}).json()

    answers = together(*map(post, graphs))
    assert [one["graph"] for one in answers] == graphs
    assert sorted(one["version"] for one in answers) == list(range(1, 21))
    [workflow] = [one for one in server.get("/workflows") if one["name"] == "race"]
    assert {one["workflow_id"] for one in answers} == {workflow["workflow_id"]}
    last = max(answers, key=lambda one: one["version"])
    assert workflow["graph"] == last["graph"]
    run = server.finish("race")
    assert run["all_outputs"]["a"]["data"]["results"] == int(last["graph"]["nodes"]["a"]["metadata"]["code"])


def test_a_name_that_is_taken_is_given_to_no_other(server):
    taken = server.upload(one_node(), name="taken")
    other = server.upload(one_node("2"), name="other")
    response = server.request("PUT", f"/workflows/{other}", json={"name": "taken", "graph": one_node("3")})
    assert response.status_code == 409
    assert response.json() == {
        "detail": f"workflow {taken} is called 'taken' already: choose another name, or update that one"
    }
    assert server.get(f"/workflows/{other}")["graph"] == one_node("2")
    server.request("DELETE", f"/workflows/{taken}")
    assert server.request("PUT", f"/workflows/{other}", json={"name": "taken", "graph": one_node("3")}).ok
    assert server.upload(one_node("4"), name="taken") == other


def test_many_that_want_the_same_name_at_the_same_moment(server):
    ids = [server.upload(one_node(), name=f"wants {number}") for number in range(8)]

    def rename(workflow):
        return lambda: server.request("PUT", f"/workflows/{workflow}", json={"name": "wanted", "graph": one_node()})

    statuses = [one.status_code for one in together(*map(rename, ids))]
    assert sorted(statuses) == [200] + [409] * 7
    assert [one["name"] for one in server.get("/workflows")].count("wanted") == 1


def test_a_deletion_is_not_undone(server):
    for number in range(10):
        workflow = server.upload(one_node(), name=f"going {number}")
        path = f"/workflows/{workflow}"

        def put(path=path, number=number):
            return server.request("PUT", path, json=one_node(str(number)))

        def delete(path=path):
            return server.request("DELETE", path)

        answers = together(put, put, delete, delete, put)
        assert sorted(one.status_code for one in (answers[2], answers[3])) == [200, 404]
        assert {one.status_code for one in answers} <= {200, 404}
        assert [server.request(*ask).status_code for ask in (("GET", path), ("DELETE", path))] == [404, 404]
        assert server.request("POST", f"{path}/execute", json={}).status_code == 404


def test_what_the_package_brings_takes_no_name_from_a_user(tmp_path):
    async def ship():
        with closing(Store(tmp_path)) as store:
            await store.save("theirs", "shipped", one_node("1"), shipped=True)
            await store.save("theirs", "renamed", one_node("1"))
            mine = await store.save(None, "shipped", one_node("2"))
            for workflow_id in ("theirs", "new"):
                row = await store.save(workflow_id, "shipped", one_node("3"), shipped=True)
                assert row["name"] in {"renamed", "shipped"}
            assert {row["name"]: row["workflow_id"] for row in await store.workflows()} == {
                "renamed": "theirs",
                "shipped": mine["workflow_id"],
            }
            with pytest.raises(NameTakenError):
                await store.save("new", "shipped", one_node())
            await store.delete("theirs")
            with pytest.raises(DeletedError):
                await store.save("theirs", None, one_node())
            assert store.current("theirs") is None

    asyncio.run(ship())


def nested(levels):
    value = "inside"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (nested(MAX_DEPTH + 1), "the body is nested deeper than 200 levels: send it flatter"),
        ("\ud83d", "the body holds \\ud83d, half of a character (a lone surrogate): send the whole one"),
        ({"\udc00": 1}, "the body holds \\udc00, half of a character"),
    ],
)
def test_what_would_be_changed_is_refused(server, value, said):
    workflow = server.upload(one_node("1"), name="as sent")
    for path, body in (
        (f"/workflows/{workflow}/execute", {"value": value}),
        ("/workflows", {"name": "as sent", "graph": one_node(description="new", extra=value)}),
    ):
        response = server.request("POST", path, json=body)
        assert response.status_code == 400
        assert response.json()["detail"].startswith(said)
    assert server.get(f"/workflows/{workflow}/runs") == []
    assert server.get(f"/workflows/{workflow}")["version"] == 1


def test_what_can_be_kept_comes_back_as_it_was_sent(server):
    inputs = {"deep": nested(MAX_DEPTH), "text": "\U0001f600 \x00 \uffff", "number": 1.5}
    assert server.finish(server.upload(one_node("1"), name="as sent"), inputs)["inputs"] == inputs


def test_a_name_in_place_of_an_id_is_told_the_id(server):
    hello = server.id_of("hello")
    said = f"there is no workflow hello; it is the name of one whose id is {hello}: use that"
    for method, path in (
        ("GET", "/workflows/hello"),
        ("GET", "/workflows/hello/runs"),
        ("POST", "/workflows/hello/execute"),
        ("DELETE", "/workflows/hello"),
    ):
        response = server.request(method, path, json={})
        assert (response.status_code, response.json()["detail"]) == (404, said)
