"""Code that runs isolated: in Monty (strict), in bubblewrap, and what decides which."""

import asyncio
import subprocess
import sys

import pytest

from orchestra_magic.local.sandbox import bubblewrap, code_references, runner, strict
from orchestra_magic.local.sandbox.execution import Limits, NotIsolatedError
from orchestra_magic.local.sandbox.runner import Sandbox, choose

from .graphs import code, graph

monty = pytest.mark.skipif(strict.unusable() is not None, reason=str(strict.unusable()))


@pytest.fixture
def run():
    def run(program, values=None, **limits):
        async def once():
            sandbox = Sandbox()
            try:
                return await sandbox.run(program, values or {}, Limits(**limits), sandbox="strict")
            finally:
                await sandbox.close()

        return asyncio.run(once())

    return run


@monty
@pytest.mark.parametrize(
    ("program", "results"),
    [
        ("1 + 1", 2),
        ("x = 1", None),
        ("{1}", [1]),
        ("def f(n):\n    return n * 2\n[f(n) for n in {{rows}}]", [2, 4]),
        ("'about {{topic}}: {{rows}}'", 'about owls\' """: [1, 2]'),
        ("x = '''a\n{{topic}}\n'''\nx, 'q' 'r {{topic}}'", ['a\nowls\' """\n', 'qr owls\' """']),
        ("f'{1} {{not}}'", "1 {not}"),
        ("{{deep.k['a b'][0]}}", 7),
        ("import datetime\ndatetime.date(2026, 1, 2)", "2026-01-02"),
        ("float('nan')", None),
        ("def f():\n    return'{{topic}}'\nf()", 'owls\' """'),
    ],
)
def test_strict_is_python_in_small(run, program, results):
    values = {"rows": [1, 2], "topic": 'owls\' """', "deep.k['a b'][0]": 7}
    done = run(program, values)
    assert (done.error, done.stopped, done.results) == ("", None, results)


@monty
def test_strict_prints_apart(run):
    done = run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n5")
    assert (done.results, done.stdout, done.stderr) == (5, "out\n", "err\n")


@monty
@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import os\nos.environ['PATH']", "not supported"),
        ("import os\nos.listdir('/')", "Error"),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("open('f', 'w')", "Error"),
        ("import socket", "ModuleNotFoundError"),
        ("import subprocess", "ModuleNotFoundError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("().__class__.__base__.__subclasses__()", "Error"),
        ("\n\n1 / 0", "line 3, in <module>\n    1 / 0"),
        ("'x' * 10**9", "MemoryError"),
        ("print('x' * 3_000_000)", "MemoryError"),
        ("raise TimeoutError('mine')", "TimeoutError: mine"),
        ("x = '{{topic}}'\n\n# so it is\nx.nothing()", "line 4"),
    ],
)
def test_strict_reaches_nothing_and_says_where_it_failed(run, program, error):
    done = run(program, {"topic": "a\nb"})
    assert error in done.error
    assert (done.results, done.stopped) == (None, None)


@monty
@pytest.mark.parametrize(
    ("program", "limits", "reason"),
    [
        ("while True: pass", {"timeout": 0.3}, "the code ran longer than 0.3 s and was ended"),
        ("import time\ntime.sleep(60)", {"timeout": 0.3}, "the code ran longer than 0.3 s and was ended"),
        ("'x' * 2000", {"result": 1000}, "the result is larger than 1000 bytes"),
    ],
)
def test_strict_ends_what_runs_away(run, program, limits, reason):
    assert reason in (run(program, **limits).stopped or "")


_CANCELLED = """
import asyncio
from orchestra_magic.local.sandbox.execution import Limits
from orchestra_magic.local.sandbox.runner import Sandbox

async def main():
    sandbox = Sandbox()
    started = [asyncio.create_task(sandbox.run("while True: pass", {}, Limits(), sandbox="strict")) for _ in range(9)]
    for waited in (0, 0.5):
        await asyncio.sleep(waited)
        started.pop().cancel()
    await asyncio.sleep(0)
    for one in started:
        one.cancel()
    done = await sandbox.run("1 + 1", {}, sandbox="strict")
    print(done.results)
    await sandbox.close()

asyncio.run(main())
"""


@monty
def test_a_cancelled_program_takes_no_place_and_holds_no_exit():
    done = subprocess.run([sys.executable, "-c", _CANCELLED], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("2\n", "")


@monty
@pytest.mark.parametrize("text", ["__import__('os').system('id')", "'+open('/etc/passwd')+'", "{{topic}}", "\\", "\n"])
def test_text_that_a_model_wrote_is_a_value(run, text):
    assert run("['{{topic}}', {{topic}}]", {"topic": text}).results == [text, text]


@pytest.mark.parametrize(
    "program", ["match 1:\n    case '{{x}}':\n        2", "match 1:\n    case {'{{x}}': 3}:\n        2"]
)
def test_a_name_cannot_stand_in_a_pattern(program):
    with pytest.raises(ValueError, match="a reference cannot stand here in the sandbox 'strict'"):
        code_references.name(program, {"x": "1"})


def test_names_keep_the_lines():
    source, named = code_references.name("é = ['{{a}}', {{b}}]\r\nx = ('1'\r\n '{{a}}')\r\ny", {"a": "A", "b": [1]})
    assert source == "é = [(__orchestra_0__), (__orchestra_1__)]\nx = ((__orchestra_2__\n))\ny"
    assert named == {"__orchestra_0__": "A", "__orchestra_1__": [1], "__orchestra_2__": "1A"}


@pytest.fixture
def here(monkeypatch):
    """Say what this computer can."""

    def here(*usable):
        reasons = {one: (lambda one=one: None if one in usable else f"no {one}") for one in ("bwrap", "strict")}
        monkeypatch.setattr(runner, "_UNUSABLE", reasons)

    return here


@pytest.mark.parametrize(
    ("asked", "setting", "trusted", "chosen"),
    [
        (None, "", True, "local"),
        ("local", "", True, "local"),
        ("strict", "", True, "strict"),
        ("bwrap", "strict", True, "bwrap"),
        (None, "strict", True, "strict"),
        ("local", "bwrap", True, "bwrap"),
        (None, "", False, "bwrap"),
        ("local", "", False, "bwrap"),
        ("strict", "", False, "strict"),
        (None, "strict", False, "strict"),
    ],
)
def test_where_code_runs(here, monkeypatch, asked, setting, trusted, chosen):
    here("bwrap", "strict")
    monkeypatch.setenv("ORCHESTRA_CODE_SANDBOX", setting)
    assert choose(asked, trusted=trusted) == chosen


def test_what_is_there_is_taken_for_code_without_trust(here):
    here("strict")
    assert choose(trusted=False) == "strict"
    here()
    with pytest.raises(NotIsolatedError, match="cannot run isolated: no bwrap; and no strict"):
        choose(trusted=False)


@pytest.mark.parametrize(("asked", "setting"), [("strict", ""), (None, "strict"), (None, "nonsense")])
def test_code_that_cannot_run_as_asked_does_not_run(here, monkeypatch, asked, setting):
    here("bwrap")
    monkeypatch.setenv("ORCHESTRA_CODE_SANDBOX", setting)
    with pytest.raises(NotIsolatedError, match=r"no strict|it can be: local, bwrap, strict"):
        choose(asked)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(strict, "find_spec", lambda name: None)
    assert strict.unusable() == "the sandbox 'strict' is not installed: pip install 'orchestra-magic[strict]'"
    monkeypatch.setattr(bubblewrap, "find", lambda: None)
    assert "the system package bubblewrap" in bubblewrap.unusable()
    monkeypatch.setattr(bubblewrap, "find", lambda: "/bin/false")
    assert "does not let bubblewrap work" in bubblewrap.unusable()


_PROBE = "import os\nos.environ.get('HOME')"


@monty
@pytest.mark.parametrize(("sandbox", "trusted"), [("strict", True), ("strict", False)])
def test_a_graph_asks_for_strict(local_server, sandbox, trusted):
    nodes = {"count": code("len('{{text}}')", sandbox=sandbox), "probe": code(_PROBE, sandbox=sandbox)}
    workflow = local_server.upload(
        graph(nodes, "START count", "count probe", "probe END"), name="strict", trusted=trusted
    )
    run = local_server.finish(workflow, {"text": "owls"})
    output = run["all_outputs"]["count"]
    assert set(output["data"]) == {"results", "stdout", "stderr", "error", "sandbox_id"}
    assert (output["data"]["results"], output["error"]) == (4, None)
    assert (output["successful"], output["successfull"]) == (True, True)
    assert "not supported" in run["all_outputs"]["probe"]["data"]["error"]
    steps = {one["node_id"]: one for one in local_server.steps(workflow, run["id"])}
    assert steps["count"]["step_metadata"] == {"sandbox": "strict"}


def test_a_graph_asks_for_bubblewrap(local_server):
    if reason := bubblewrap.unusable():
        pytest.skip(reason)
    program = "import os, numpy\n[os.path.exists('/root/.bashrc'), int(numpy.int64(3))]"
    workflow = local_server.upload(
        graph({"ask": code(program, sandbox="bwrap")}, "START ask", "ask END"), name="bwrapped"
    )
    run = local_server.finish(workflow)
    assert run["all_outputs"]["ask"]["data"]["results"] == [False, 3]
    [step] = local_server.steps(workflow, run["id"])
    assert step["step_metadata"] == {"sandbox": "bwrap"}


def test_an_unknown_sandbox_is_a_fault_of_the_upload(local_server):
    response = local_server.request(
        "POST", "/workflows", json=graph({"a": code("1", sandbox="docker")}, "START a", "a END")
    )
    [fault] = response.json()["detail"]
    assert (fault["node"], fault["field"]) == ("a", "sandbox")
    assert fault["message"] == "there is no sandbox 'docker'; there are: local, bwrap, strict"
