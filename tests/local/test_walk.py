"""How graphs are gone through, at a real server: what runs, in which order, with which values."""

from pathlib import Path

import pytest

from .graphs import code, graph


def conditional(variable, value, then, otherwise=None):
    criteria = [{"variable": variable, "operator": "==", "value": value}]
    metadata = {"conditions": [{"name": "first", "criteria": criteria, "then": then}]}
    return {"type": "conditional", "metadata": metadata | ({"else": otherwise} if otherwise else {})}


def value(program, **metadata):
    """Return a code node whose variable is its results."""
    return code(program, output_mapping={metadata.pop("to"): "data.results"}, **metadata)


@pytest.fixture
def run(local_server, request):
    def upload_and_run(document, inputs=None):
        workflow = local_server.upload(document, name=request.node.name)
        finished = local_server.finish(workflow, inputs)
        return finished, local_server.steps(workflow, finished["id"])

    return upload_and_run


def test_branches_run_in_parallel_and_joins_wait(run):
    wait = "import time\nbegan = time.time()\ntime.sleep(0.5)\n[began, time.time()]"
    nodes = {"a": value(wait, to="x"), "b": value(wait, to="y"), "c": code("[{{x}}, {{y}}]")}
    finished, steps = run(graph(nodes, "START a", "START b", "a c", "b c", "c END", selectedOutput="c"))
    first, second = finished["outputs"]["data"]["results"]
    assert max(first[0], second[0]) < min(first[1], second[1])
    assert [step["node_id"] for step in steps][-1] == "c"


@pytest.mark.parametrize(("n", "way", "said"), [(1, "yes", "one"), (2, "no", "other")])
def test_a_conditional_prunes_and_the_join_goes_on(run, n, way, said):
    nodes = {
        "ask": conditional("n", 1, "yes", "no"),
        "yes": value("'one'", to="said"),
        "no": value("'other'", to="said"),
        "after_yes": code("1"),
        "join": value("'{{said}}!'", to="joined"),
    }
    edges = ("START ask", "ask yes", "ask no", "yes after_yes", "after_yes join", "no join", "join END")
    document = graph(nodes, *edges, selectedOutput="join", input_data={"n": "integer"})
    finished, steps = run(document, {"n": n})
    assert finished["outputs"] == f"{said}!"
    taken = ["ask", "yes", "after_yes", "join"] if n == 1 else ["ask", "no", "join"]
    assert [step["node_id"] for step in steps] == taken
    assert finished["all_outputs"]["ask"]["then"] == way


def test_nothing_true_and_no_else_ends_the_branch(run):
    nodes = {"ask": conditional("n", 1, "a"), "a": code("1")}
    finished, steps = run(graph(nodes, "START ask", "ask a", "a END", selectedOutput="a"), {"n": 5})
    assert (finished["status"], finished["outputs"], len(steps)) == ("completed", None, 1)


def test_a_reference_to_what_was_not_run_says_so(run):
    nodes = {"ask": conditional("n", 1, "a", "b"), "a": code("1"), "b": code("{{a.data.results}}")}
    finished, _ = run(graph(nodes, "START ask", "ask a", "ask b", "a b", "b END"), {"n": 5})
    assert finished["error"] == "b: {{a.data.results}} has no value, because 'a' was not run: the way led past it"


def test_a_failed_node_fails_the_run_and_stops_the_others(run):
    nodes = {"bad": conditional("n", "text", "END"), "slow": code("import time\ntime.sleep(60)"), "after": code("1")}
    finished, steps = run(graph(nodes, "START bad", "START slow", "bad END", "slow after", "after END"), {"n": 1})
    assert finished["status"] == "failed"
    assert finished["error"].startswith("bad: n is number and the value is text")
    assert {step["node_id"]: step["status"] for step in steps} == {"bad": "failed", "slow": "cancelled"}


def test_code_that_fails_is_shown_and_the_run_goes_on(run):
    nodes = {
        "risky": code("1 / 0"),
        "ask": conditional("risky.successful", False, "rescue"),
        "rescue": value("{{risky.data.error}}.splitlines()[-1]", to="why"),
    }
    finished, steps = run(graph(nodes, "START risky", "risky ask", "ask rescue", "rescue END", selectedOutput="rescue"))
    assert (finished["status"], finished["outputs"]) == ("completed", "ZeroDivisionError: division by zero")
    assert (steps[0]["status"], steps[0]["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert steps[0]["outputs"]["successfull"] is False


def test_results_of_code_that_failed_are_not_taken_for_null(run):
    nodes = {"risky": code("1 / 0"), "use": code("[{{risky.data.results}}]")}
    finished, _ = run(graph(nodes, "START risky", "risky use", "use END"))
    assert finished["error"] == (
        "use: {{risky.data.results}}: it has no value, because the code failed: ZeroDivisionError: division by zero"
    )


def test_text_of_others_reaches_code_as_a_value(run):
    nasty = '\'); import os; os._exit(1) #{{prompt}}\n"""'
    nodes = {"a": code("[{{prompt}}, 'x {{prompt}}']")}
    finished, _ = run(graph(nodes, "START a", "a END"), {"prompt": nasty})
    assert finished["all_outputs"]["a"]["data"]["results"] == [nasty, f"x {nasty}"]


def test_a_loop_goes_round_until_its_condition_holds(run):
    nodes = {
        "start": value("0", to="n"),
        "add": value("({{more}} or {{n}}) + 1", to="sum"),
        "again": value("{{sum}}", to="more"),
        "ask": conditional("sum", 3, "done", "again"),
        "done": value("{{sum}}", to="end"),
    }
    edges = ("START start", "start add", "add ask", "ask done", "ask again", "again add", "done END")
    finished, steps = run(graph(nodes, *edges, selectedOutput="done", settings={"max_visits": 5}))
    assert (finished["status"], finished["outputs"]) == ("completed", 3)
    names = [step["node_id"] for step in steps]
    assert names == ["start", "add", "ask", "again", "add", "ask", "again", "add", "ask", "done"]


def test_a_loop_that_does_not_end_is_ended(run):
    nodes = {"a": code("1"), "b": conditional("a.data.results", 1, "a")}
    finished, steps = run(graph(nodes, "START a", "a b", "b a", settings={"max_visits": 3}))
    assert finished["error"] == "a: the loop came round more than settings.max_visits = 3 times"
    assert len(steps) == 6


def test_a_timeout_of_code_is_data(run):
    finished, [step] = run(graph({"a": code("while True: pass", timeout=0.3)}, "START a", "a END"))
    assert finished["status"] == "completed"
    assert finished["all_outputs"]["a"]["error"] == "the code ran longer than 0.3 s and was ended"
    assert step["status"] == "failed"


def test_retries_of_code(run, local_server):
    mark = Path(local_server.environment["ORCHESTRA_CODE_FILES"]) / "tries"
    program = f"open({str(mark)!r}, 'a').write('x')\nlen(open({str(mark)!r}).read()) > 1 or 1/0"
    finished, _ = run(graph({"a": code(program, retries=2)}, "START a", "a END"))
    assert finished["all_outputs"]["a"]["successful"] is True
    assert mark.read_text() == "xx"


def test_a_hundred_nodes_side_by_side(run):
    nodes = {f"n{n}": conditional("x", 1, "END") for n in range(100)}
    edges = [edge for n in range(100) for edge in (f"START n{n}", f"n{n} END")]
    finished, steps = run(graph(nodes, *edges), {"x": 1})
    assert (finished["status"], len(steps)) == ("completed", 100)


def test_outputs_of_several_variables(run):
    node = code("{'x': 1, 'y': [2]}", output_mapping={"p": "data.results.x", "q": "data.results.y[0]"})
    finished, _ = run(graph({"a": node}, "START a", "a END", selectedOutput="a"))
    assert finished["outputs"] == finished["all_outputs"] == {"p": 1, "q": 2}


def test_a_mapping_that_leads_nowhere_fails_the_step_and_shows_the_output(run):
    finished, [step] = run(graph({"a": code("5", output_mapping={"p": "data.nope"})}, "START a", "a END"))
    assert finished["error"].startswith("a: {{data.nope}}: data has no 'nope'; it has: results, stdout")
    assert step["outputs"]["data"]["results"] == 5
