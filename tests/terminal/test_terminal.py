"""The magics in the IPython of a terminal: text instead of cards, one line instead of a stack."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import pexpect
import pytest
from scripted import Reply, Scripted

from ..notebook.workflows import EXECUTE, RUN, STARTED, STATE, STEPS, WF, run_json, workflow_json
from .conftest import Terminal, plain

REATTACH = f"%orchestra_run {RUN} --workflow {WF}"


def test_a_cell_shows_the_card_as_text(terminal: Terminal, connected: Scripted) -> None:
    step = {"id": "1", "node_id": "llm", "status": "completed", "outputs": {"content": "Hi Ada"}}
    connected.on("GET", STEPS, [step])
    shown = terminal.run(f"%%orchestra_execute {WF} --wait -o run", "prompt: hello", "sizes:", "  - 1", "  - 2.5")
    assert connected.posts[0].json == {"prompt": "hello", "sizes": [1, 2.5]}
    first, *rest = shown.split("\n")[1:]  # below Out[2]:
    assert first == "✔ completed · Say hi · run fda37c90 · 0.7 s"
    assert rest[:3] == ["  outputs:", "    Hi Ada", "  steps:"]
    assert rest[-1] == f"  {REATTACH}"
    assert terminal.run("run_id") == f"Out[3]: '{RUN}'"
    assert terminal.run("run.outputs") == "Out[4]: 'Hi Ada'"
    assert terminal.run("[run]") == "Out[5]: [<Run fda37c90 completed>]"


def test_a_run_that_goes_on_gives_the_prompt_back(terminal: Terminal, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    shown = terminal.run(f"%%orchestra_execute {WF}", "prompt: hello")
    assert "◐ running" in shown or "○ queued" in shown
    assert shown.endswith(REATTACH)
    connected.on("GET", STATE, run_json(outputs="Hi Ada"))
    assert "Hi Ada" in terminal.run("%orchestra_run $run_id")


def test_the_first_line_of_a_cell_alone_starts_nothing(terminal: Terminal, connected: Scripted) -> None:
    terminal.process.sendline(f"%%orchestra_execute {WF}")
    terminal.process.expect(r"\.\.\.: ")
    terminal.process.sendline("prompt: hello")
    terminal.process.expect(r"\.\.\.: ")
    assert connected.posts == []
    terminal.process.sendline("")
    terminal.process.expect(r"\.\.\.: ")
    terminal.process.sendline("")
    terminal.number += 1
    terminal.ready()
    assert [said.json for said in connected.posts] == [{"prompt": "hello"}]


def test_a_cell_without_a_body_is_a_run_without_inputs(terminal: Terminal, connected: Scripted) -> None:
    assert "✔ completed" in terminal.run(f"%%orchestra_execute {WF} -w")
    assert "✔ completed" in terminal.run(f"%orchestra_execute {WF} -w")
    assert [said.json for said in connected.posts] == [{}, {}]


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ((f"%orchestra_execute {WF} --wiat",), "OrchestraUsageError: There is no option --wiat. Did you mean --wait?"),
        ((f"%%orchestra_execute {WF}", "a: 1", "a: 2"), "OrchestraInputError: line 3, column 1:"),
        (("%orchestra_workflow nonsense",), "NotFound: No workflow has the id or name 'nonsense'."),
        (("%orchestra_form 'Say hi'",), "OrchestraUsageError: A form needs a notebook."),
        (("%orchestra_connect ftp://x",), "OrchestraConfigError:"),
        (("%orchestra_run",), "OrchestraUsageError: No run was started in this session."),
    ],
)
def test_an_error_is_one_sentence_without_a_stack(cell: tuple[str, ...], error: str, terminal: Terminal) -> None:
    shown = terminal.run(*cell)
    assert shown.startswith(error)
    assert "Traceback" not in shown
    assert len(shown.split("\n")) == (3 if "line 3" in error else 1)  # the excerpt and its caret
    assert terminal.run("1 + 1").endswith("2")


def test_the_form_says_where_it_works_and_what_to_do_here(terminal: Terminal) -> None:
    shown = terminal.run("%orchestra_form 'Say hi'")
    assert "A form needs a notebook. Here, use `%%orchestra_execute 'Say hi'`" in shown


def test_workflows_are_a_table(terminal: Terminal) -> None:
    _, head, rule, row = terminal.run("%orchestra_workflows").split("\n")
    assert head.split()[:2] == ["name", "id"]
    assert set(rule) == {"─", " "}
    assert row.split("  ")[0] == "Say hi"
    assert WF in row


@pytest.mark.parametrize("magic", ["%%", "%"])
def test_an_interrupt_ends_the_wait_and_not_the_run(magic: str, terminal: Terminal, connected: Scripted) -> None:
    looked = threading.Event()

    def running(_: object) -> object:
        looked.set()
        return run_json("running")

    connected.on("GET", STATE, running)
    lines = [f"{magic}orchestra_execute {WF} -w -o run"] + (["prompt: hi", "", ""] if magic == "%%" else [])
    for line in lines:
        terminal.process.sendline(line)
    assert looked.wait(20)
    terminal.process.expect("running")
    terminal.process.sendintr()
    terminal.number += 1
    shown = terminal.ready()
    said = [line for line in shown.split("\n") if line.strip()][-1].strip()
    assert said == f"RunDetached: Stopped waiting; run fda37c90 goes on. Come back to it with `{REATTACH}`."
    assert "Traceback" not in shown
    assert "KeyboardInterrupt" not in shown
    assert terminal.run("run_id == run.id").endswith("True")
    connected.on("GET", STATE, run_json(outputs="Hi Ada"))
    assert "Hi Ada" in terminal.run(REATTACH)
    assert len(connected.posts) == 1


def test_an_interrupt_while_it_is_sent_says_that_it_may_go_on(terminal: Terminal, connected: Scripted) -> None:
    arrived, release = threading.Event(), threading.Event()

    def slow(_: object) -> object:
        arrived.set()
        release.wait(20)
        return STARTED

    connected.on("POST", EXECUTE, slow)
    terminal.process.sendline(f"%orchestra_execute {WF}")
    assert arrived.wait(20)
    terminal.process.sendintr()
    terminal.number += 1
    shown = terminal.ready()
    release.set()
    assert "RunUnconfirmed: Interrupted while the run was being started" in shown
    assert "Traceback" not in shown


def test_the_line_of_progress_is_taken_back_however_long_the_name_is(terminal: Terminal, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(name="long\nname " * 30)])
    connected.on("GET", STATE, *[run_json("running")] * 2, run_json(outputs="Hi Ada"))
    terminal.run("%orchestra_workflows")
    shown = terminal.run(f"%orchestra_execute {WF} -w")
    assert shown.startswith("Out[3]: ")
    assert shown.count("completed") == 1
    assert "queued" not in shown


@pytest.mark.parametrize(("kind", "rewritten"), [("xterm-256color", True), ("dumb", False)])
def test_a_wait_is_one_line_or_a_line_for_each_change(
    kind: str, rewritten: bool, start: Callable[..., Terminal], connected: Scripted
) -> None:
    connected.on("GET", STATE, run_json("queued"), *[run_json("running")] * 2, run_json(outputs="Hi Ada"))
    made = start("--simple-prompt", "--colors=NoColor", kind=kind)
    made.ready()
    made.run("%load_ext orchestra_magic")
    shown = made.run(f"%orchestra_execute {WF} -w")
    assert ("\x1b[2K" in made.process.before) is rewritten  # the line that was, taken back
    assert "\a" not in made.process.before  # it was soon over
    card = shown.index("Out[2]: ")
    progress = [line.split(" ·")[0] for line in shown[:card].split("\n") if line.strip()]
    # The start itself says "queued" or "running", by what is known then.
    assert progress == [] if rewritten else progress[-3:] == ["○ queued", "◐ running", "✔ completed"]
    assert "Hi Ada" in shown[card:]


def test_the_bell_tells_of_a_long_wait(terminal: Terminal, connected: Scripted) -> None:
    terminal.run("from orchestra_magic.views import card")
    terminal.run("card.LONG_SECONDS = 0.1")
    connected.on("GET", STATE, run_json("running"), run_json(outputs="Hi Ada"))
    terminal.run(f"%orchestra_execute {WF} -w")
    assert terminal.process.before.count("\a") == 1


def test_leaving_does_not_wait_for_runs(terminal: Terminal, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    terminal.run(f"%orchestra_execute {WF}")
    terminal.run("stop = _.on_change(print)")
    begun = time.monotonic()
    terminal.process.sendline("exit")
    terminal.process.expect(pexpect.EOF)
    terminal.process.close()
    assert time.monotonic() - begun < 10
    assert terminal.process.exitstatus == 0
    assert "Traceback" not in plain(terminal.process.before)


class Full:
    """A terminal with line editing and colours: cells are typed key by key."""

    def __init__(self, terminal: Terminal) -> None:
        self.process = terminal.process
        self.type("", "In [1]: ")
        self.type("%load_ext orchestra_magic\r", "In [2]: ")

    def type(self, keys: str, until: str) -> str:
        """Press keys, and return what is drawn until something is seen: with colours and moves in between."""
        self.process.send(keys)
        self.process.expect(r"(?:\x1b\[[0-9;?]*[A-Za-z])*".join(re.escape(key) for key in until))
        return plain(self.process.before + self.process.after)

    def list_workflows(self) -> None:
        """Have the list at hand: a busy machine may not fetch it in the second that Tab waits."""
        self.type("%orchestra_workflows\r", "In [3]: ")


@pytest.fixture
def full(start: Callable[..., Terminal]) -> Full:
    return Full(start("--TerminalInteractiveShell.autosuggestions_provider=None"))


def test_tab_completes_the_line_and_the_body(full: Full, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(name="daily-etl")])
    full.list_workflows()
    full.type("%%orchestra_execute dail\t", "y-etl")
    full.type(" --dry\t", "-run")
    full.type("\r", "...:")
    full.type("prom\t", "pt:")
    full.type("hello\r", "...:")
    assert '{"prompt":"hello"}' in full.type("\r\r", "In [4]: ")
    assert connected.posts == []


def test_tab_shows_the_choices(full: Full, connected: Scripted) -> None:
    two = [workflow_json(name="daily-etl"), workflow_json(workflow_id="other", name="daily-report")]
    connected.on("GET", "/workflows", two)
    full.list_workflows()
    assert "daily-etl" in full.type("%orchestra_workflow dai\t", "daily-report")


def test_tab_with_a_slow_server_gives_the_keys_back(full: Full, connected: Scripted) -> None:
    release = threading.Event()

    def slow(_: object) -> Reply:
        release.wait(10)
        return Reply(data=[])

    connected.on("GET", "/workflows", slow)
    begun = time.monotonic()
    full.type("%orchestra_workflow dai\tXYZ", "XYZ")
    assert time.monotonic() - begun < 5
    assert not release.is_set()
    release.set()


def test_a_cell_runs_in_a_terminal_with_colours(full: Full, connected: Scripted) -> None:
    full.type(f"%%orchestra_execute {WF} -w\r", "...:")
    assert connected.posts == []
    full.type("prompt: hello\r", "...:")
    # A busy machine may not learn the workflow's name in time: then it is the id.
    assert re.search(rf"✔ completed · (Say hi|{WF}) · run fda37c90", full.type("\r\r", "In [3]: "))
    assert connected.posts[0].json == {"prompt": "hello"}
    shown = full.type("%orchestra_workflow nonsense\r", "In [4]: ")
    assert "NotFound: No workflow has the id or name 'nonsense'." in shown
    assert "Traceback" not in shown


STEERING = (
    "HOSTILE\x1b[2J\x1b[1A\x1b[2K\x1b]0;owned\x07\x1b]8;;http://evil.example\x07\x9b31m\r\x08\x0b\u202egnp\u2066\u2028"
)


@pytest.mark.parametrize("status", ["failed", "completed", STEERING], ids=["failed", "completed", "odd"])
def test_nothing_that_a_server_says_steers_the_terminal(
    status: str, start: Callable[..., Terminal], connected: Scripted
) -> None:
    """In a terminal with colours, where what is written is what the terminal obeys."""
    known = workflow_json(name=STEERING)
    ended = [{"id": RUN, "status": status, "inputs": {STEERING: STEERING}, "end_time": "2026-01-01T00:00:00Z"}]
    ended[0] |= {"error": STEERING} if status == "failed" else {"outputs": {STEERING: [STEERING]}}
    step = {"id": STEERING, "node_id": STEERING, "status": STEERING, "outputs": STEERING, "error": STEERING}
    connected.on("GET", "/workflows", [known | {"description": STEERING, "status": STEERING}])
    connected.on("GET", STATE, ended)
    connected.on("GET", STATE.rpartition("/")[0], ended)
    connected.on("GET", STEPS, [step])
    connected.on("GET", f"/workflows/{WF}/diagram", {"diagram": f'graph TD\n  a["{STEERING}"] --> b'})
    shown = Full(start("--TerminalInteractiveShell.autosuggestions_provider=None"))
    cells = ["%orchestra_workflows", f"%orchestra_workflow {WF}", f"%orchestra_execute {WF} -w", "%orchestra_steps"]
    cells += [f"%orchestra_history {WF}", "%orchestra_runs", f"%orchestra_diagram {WF}"]
    for number, cell in enumerate(cells, 3):
        shown.process.send(f"{cell}\r")
        shown.process.expect(r"(?:\x1b\[[0-9;?]*[A-Za-z])*".join(re.escape(key) for key in f"In [{number}]: "))
        written = shown.process.before
        assert "HOSTILE" in written, cell
        for steering in ("\x1b[2J", "\x1b[1A", "owned\x07", "\x1b]8", "\x9b", "\x0b", "\u202e", "\u2066", "\u2028"):
            assert steering not in written, cell
