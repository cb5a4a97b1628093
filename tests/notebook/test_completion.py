"""Tab in a real shell: what is offered on the line and in the body of the magics."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from scripted import Reply, Scripted

from orchestra_magic.client import catalog, journal, settings, transport  # noqa: F401  (a test times no import)
from orchestra_magic.notebook import completion

from .cells import Cells
from .workflows import WF, workflow_json

OTHER = "99999999-bb12-1234-b7cd-f7a71a98cd24"


def complete(shell: InteractiveShell, cell: str) -> list[str]:
    """What the cell would be like with each completion that changes it at the bar, which is the cursor."""
    offset = cell.index("|")
    text = cell.replace("|", "", 1)
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, offset))
    return [new for each in found if (new := text[: each.start] + each.text + text[each.end :]) != text]


def ours(cells: Cells, cell: str) -> completion.Found:
    """What we offer ourselves: where that is nothing, IPython asks its other completers."""
    ask = completion.Completion(cells.shell, cells.shell.magics_manager.registry["OrchestraMagics"])
    before = cell[: cell.index("|")]
    return ask(cell.replace("|", "", 1), before.count("\n"), len(before.rpartition("\n")[2]))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is offered is tested apart from when: a busy machine may take longer than a person waits."""
    monkeypatch.setattr(catalog, "GLANCE_SECONDS", 30.0)


@pytest.fixture
def tab(cells: Cells, connected: Scripted, patient: None) -> Callable[[str], list[str]]:
    """The lines that Tab offers for a cell: only what replaces the line of the cursor."""
    connected.on(
        "GET",
        "/workflows",
        [
            workflow_json(inputs={"prompt": {"type": "string"}, "size": 3, "my input": "", "a: b": "", "true": 1}),
            workflow_json(workflow_id=OTHER, name="daily-etl", inputs={}),
        ],
    )

    def ask(cell: str) -> list[str]:
        row = cell[: cell.index("|")].count("\n")
        return [each.split("\n")[row] for each in complete(cells.shell, cell)]

    return ask


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("%%orchestra_execute da|", ["%%orchestra_execute daily-etl"]),
        ("%%orchestra_execute DA|", ["%%orchestra_execute daily-etl"]),
        ("%%orchestra_execute 99|", [f"%%orchestra_execute {OTHER}"]),
        ("%%orchestra_execute say|", ["%%orchestra_execute 'Say hi'"]),
        ("%%orchestra_execute 'Say |", ["%%orchestra_execute 'Say hi'"]),
        ('%%orchestra_execute "Say |', ['%%orchestra_execute "Say hi"']),
        ("%%orchestra_execute --wait da|", ["%%orchestra_execute --wait daily-etl"]),
        ("%%orchestra_execute --run-id x da|", ["%%orchestra_execute --run-id x daily-etl"]),
        ("%%orchestra_execute da| --wait\nprompt: hi", ["%%orchestra_execute daily-etl --wait"]),
        ("\n%%orchestra_execute da|", ["%%orchestra_execute daily-etl"]),
        ("# every day\n%%orchestra_execute da|", ["%%orchestra_execute daily-etl"]),
        ("%orchestra_workflow da|", ["%orchestra_workflow daily-etl"]),
        ("x = 1\nrun = %orchestra_execute da|", ["run = %orchestra_execute daily-etl"]),
        ("if x:\n    %orchestra_form da|", ["    %orchestra_form daily-etl"]),
        ("orchestra_history da|", ["orchestra_history daily-etl"]),
        ("%orchestra_run abc --workflow da|", ["%orchestra_run abc --workflow daily-etl"]),
        ("%orchestra_run abc --workflow=da|", ["%orchestra_run abc --workflow=daily-etl"]),
        ("%orchestra_connect lo|", ["%orchestra_connect local"]),
        ("%orchestra_connect |", ["%orchestra_connect local"]),
    ],
)
def test_what_a_line_takes(cell: str, lines: list[str], tab: Callable[[str], list[str]]) -> None:
    assert tab(cell) == lines


def test_without_a_letter_all_workflows_are_offered_names_first(tab: Callable[[str], list[str]]) -> None:
    assert [line.split(" ", 1)[1] for line in tab("%orchestra_diagram |")] == ["'Say hi'", "daily-etl", WF, OTHER]


@pytest.mark.usefixtures("patient")
def test_only_a_name_that_is_unique_is_offered(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(name="twin"), workflow_json(workflow_id=OTHER, name="twin")])
    assert complete(cells.shell, "%orchestra_form tw|") == []
    assert len(complete(cells.shell, "%orchestra_form |")) == 2


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%orchestra_execute wf --f|", ["--file", "--format"]),
        ("%%orchestra_execute wf --format json --f|", ["--file"]),
        ("%%orchestra_execute wf --format=json --f|", ["--file"]),
        ("%%orchestra_execute wf -o x --o|", ["--outputs"]),
        ("%%orchestra_execute wf --w|", ["--wait"]),
        ("%%orchestra_execute wf --format |", ["auto", "yaml", "json"]),
        ("%%orchestra_execute wf --format j|", ["json"]),
        ("%%orchestra_execute wf --format=j|", ["--format=json"]),
        ("%orchestra_history wf --l|", ["--limit"]),
        ("%orchestra_workflows --h|", ["--help"]),
    ],
)
def test_options_and_their_choices(cell: str, offered: list[str], tab: Callable[[str], list[str]]) -> None:
    assert [line.split("|")[0].split()[cell[: cell.index("|") + 1].count(" ")] for line in tab(cell)] == offered


def test_every_option_of_the_parser_is_offered_and_nothing_else(cells: Cells) -> None:
    for magic in ("orchestra_execute", "orchestra_history", "orchestra_upload"):
        parser = cells.shell.find_line_magic(magic).parser
        known = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
        assert {line.split()[-1] for line in complete(cells.shell, f"%{magic} wf -|")} == known


def test_after_the_arguments_the_options_are_offered(tab: Callable[[str], list[str]]) -> None:
    assert "%%orchestra_execute daily-etl --wait" in tab("%%orchestra_execute daily-etl |")


@pytest.mark.parametrize("cell", ["%%orchestra_execute wf --run-id |", "%%orchestra_execute wf --timeout 5|", "%orchestra_workflows x|",
                                  "orchestra_runs = pr|", "%%orchestra_upload na|", "%%orchestra_upload x\nna|", "%%orchestra_execute wf --fo| --format json"])  # fmt: skip
def test_nothing_of_ours_where_nothing_is_known(cell: str, cells: Cells) -> None:
    assert list(ours(cells, cell).texts) == []


@pytest.mark.parametrize(
    "cell",
    ["%orchestra_form pri|", "%%orchestra_execute 'Say hi'\nprompt: pri|", "%%orchestra_execute wf --run-id pri|"],
)
def test_names_of_python_are_not_offered(cell: str, tab: Callable[[str], list[str]]) -> None:
    assert tab(cell) == []


def test_elsewhere_everything_is_as_before(tab: Callable[[str], list[str]]) -> None:
    assert tab("%%time\nprin|") == ["print"]
    assert tab("%orchestra_execute x\nprin|") == ["print"]


def test_files(tab: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("inputs.yaml", "two words.json", ".hidden.yaml", "in/deep.json", "my dir/x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    start = "%%orchestra_execute wf --file "
    assert tab(f"{start}|") == [start + name for name in ("in/", "'my dir/", "inputs.yaml", "'two words.json'")]
    assert tab(f"{start}in/|") == [f"{start}in/deep.json"]
    assert tab(f"{start}'my dir/|") == [f"{start}'my dir/x.json'"]
    assert tab(f"{start}.h|") == [f"{start}.hidden.yaml"]
    assert tab(f"{start}{tmp_path}/inp|") == [f"{start}{tmp_path}/inputs.yaml"]
    assert tab("%orchestra_upload inp|") == ["%orchestra_upload inputs.yaml"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tab(f"{start}~/inp|") == [f"{start}~/inputs.yaml"]


def test_runs_of_this_computer_newest_first(tab: Callable[[str], list[str]], connected: Scripted) -> None:
    for number in range(12):
        journal.intended(f"k{number}", base_url=connected.base_url, workflow_id=WF, digest="")
        journal.started(f"k{number}", f"run-{number:02}")
    journal.intended("elsewhere", base_url="https://elsewhere.example", workflow_id=WF, digest="")
    journal.started("elsewhere", "run-99")
    for magic in ("run", "steps", "cancel"):
        offered = [line.split()[-1] for line in tab(f"%orchestra_{magic} ru|")]
        assert offered == [f"run-{number:02}" for number in range(11, 1, -1)]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("pr|", ["prompt: "]),
        ("|", ["prompt: ", "size: ", "my input: ", '"a: b": ', '"true": ']),
        ("prompt: hi\n|", ["size: ", "my input: ", '"a: b": ', '"true": ']),
        ("|\nsize: 3\n'my input': x\n\"a: b\": 1\ntrue: 2", ["prompt: "]),
        ("my i|", ["my input: "]),
        ("si|: 3", ["size: 3"]),
        ('"si|', ['"size": ']),
        ('"si|": 3', ['"size": 3']),
        ("{|", ['{"prompt": ', '{"size": ', '{"my input": ', '{"a: b": ', '{"true": ']),
        ('{"si|', ['{"size": ']),
        ('{"si|"}', ['{"size"}']),
        ('{"size": [{"prompt": 1}, 2],\n "p|', [' "prompt": ']),
        (
            '{"size": 3, |, "prompt": 1}',
            [f'{{"size": 3, {key}: , "prompt": 1}}' for key in ('"my input"', '"a: b"', '"true"')],
        ),
    ],
)
def test_the_inputs_of_the_workflow(body: str, lines: list[str], tab: Callable[[str], list[str]]) -> None:
    assert tab(f"%%orchestra_execute 'Say hi' --wait\n{body}") == lines
    assert tab(f"%%orchestra_execute --wait {WF}\n{body}") == lines


@pytest.mark.parametrize(
    "body",
    ["    pr|", "size:\n  - pr|", "size: pr|", "- pr|", '{"size": "pr|', '{"size": {"pr|', "# pr|", "{a: 1, pr|"],
)
def test_no_input_where_none_can_stand(body: str, cells: Cells, tab: Callable[[str], list[str]]) -> None:
    assert not [line for line in tab(f"%%orchestra_execute 'Say hi'\n{body}") if "prompt" in line]


def test_the_workflow_may_come_from_a_variable(cells: Cells, tab: Callable[[str], list[str]]) -> None:
    cells.shell.user_ns |= {"wf": WF, "hi": cells.run("%orchestra_workflow 'Say hi'")}
    for name in ("$wf", "{wf}", "$hi"):
        assert tab(f"%%orchestra_execute {name}\npr|") == ["prompt: "]
    assert tab("%%orchestra_execute $w|") == ["%%orchestra_execute $wf"]
    assert tab("%%orchestra_execute {h|") == ["%%orchestra_execute {hi}"]


@dataclass
class Point:
    x: int
    _y: int


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("rows: $|", ["rows: $cfg", "rows: $point", "rows: $table"]),
        ("rows: $ta|", ["rows: $table"]),
        ("rows: ${ta|", ["rows: ${table}"]),
        ("rows: ${ta|}", ["rows: ${table}"]),
        ("rows: [$ta|", ["rows: [$table"]),
        ('rows: ["$ta|', ['rows: ["$table']),
        ("- $ta|", ["- $table"]),
        ('{"rows": "$ta|', ['{"rows": "$table']),
        ("text: all of $ta|", ["text: all of ${table}"]),
        ("text: all of ${ta|", ["text: all of ${table}"]),
        ("text: all, $ta|", ["text: all, ${table}"]),
        ("rows: ${cfg.|", ["rows: ${cfg.deep", "rows: ${cfg.k1"]),
        ("rows: $cfg.de|", ["rows: $cfg.deep"]),
        ("rows: ${cfg.deep[0].|", ["rows: ${cfg.deep[0].leaf"]),
        ("rows: ${cfg[a|", ["rows: ${cfg[a key]"]),
        ("rows: $point.|", ["rows: $point.x"]),
    ],
)
def test_variables_behind_a_dollar(body: str, lines: list[str], cells: Cells, tab: Callable[[str], list[str]]) -> None:
    cells.shell.user_ns |= {
        "table": [1], "cfg": {"deep": [{"leaf": 1}], "k1": 2, "a key": 3, 5: 5, "_no": 1}, "point": Point(1, 2),
        "_private": 1, "module": math, "function": complete, "Kind": Point, "builtin": len, "_i5": "",
    }  # fmt: skip
    offered = tab(f"%%orchestra_execute 'Say hi'\n{body}")
    assert [line for line in offered if "$" in line] == lines


@pytest.mark.parametrize(
    "cell", ["x --raw\nrows: $ta|", "x\nprice: $$ta|", "x\nprice: $5|", "x\nall of $table.|", "x\nrows: table|"]
)
def test_no_variable_where_none_is_put_in(cell: str, cells: Cells) -> None:
    cells.shell.user_ns["table"] = {"k": 1}
    assert list(ours(cells, f"%%orchestra_execute {cell}").texts) == []


def test_a_variable_is_not_computed(cells: Cells, tab: Callable[[str], list[str]]) -> None:
    asked = []

    class Trap:
        @property
        def cost(self) -> None:
            asked.append("property")

        def __getattr__(self, name: str) -> None:
            asked.append(name)

    cells.shell.user_ns["trap"] = Trap()
    before = list(asked)
    for body in ("a: $tr|", "a: ${trap.|", "a: ${trap.cost.|", "a: ${trap[0].|"):
        tab(f"%%orchestra_execute 'Say hi'\n{body}")
    assert not {"property", "cost"} & set(asked[len(before) :])


HOSTILE = [
    "two\nlines",
    "\x1b[2Jclear",
    "right\u202eleft",
    "$run_id",
    "{x}",
    "--wait",
    'it\'s "both"',
    "x" * 300,
    "\ud800",
]


@pytest.mark.usefixtures("patient")
def test_names_that_would_do_something_in_the_cell_are_not_offered(cells: Cells, connected: Scripted) -> None:
    harmless = ["what?", "a; b", "ünïcödé ☃", "it's", "<script>", "a\\b", "100%"]
    named = [workflow_json(workflow_id=f"w{n}", name=name) for n, name in enumerate(HOSTILE + harmless)]
    connected.on("GET", "/workflows", named)
    cells.shell.user_ns["run_id"] = "x"
    offered = [line.split(" ", 1)[1] for line in complete(cells.shell, "%orchestra_form |")]
    assert offered[:7] == ["'what?'", "'a; b'", "'ünïcödé ☃'", '"it\'s"', "'<script>'", "'a\\b'", "'100%'"]
    assert offered[7:] == [f"w{n}" for n in range(len(named))]
    for name, word in zip(harmless, offered, strict=False):
        assert cells.run(f"%orchestra_workflow {word}").name == name


@pytest.mark.parametrize("answer", [b"", b"[", b"{}", b'["a", 1, null]', b"[" * 5000, b'[{"workflow_id": 1, "name": 2, "graph": {"input_data": 7}}]',
                                    b'[{"workflow_id": "x", "graph": {"input_data": {"\\n": 1, "a\\u202eb": 2, "p": 3}}}]'])  # fmt: skip
def test_answers_that_are_none(
    answer: bytes, cells: Cells, connected: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    connected.on("GET", "/workflows", Reply(body=answer))
    complete(cells.shell, "%orchestra_form |")
    complete(cells.shell, "%%orchestra_execute x\n|")
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""
    assert "\n" not in "".join(complete(cells.shell, "%%orchestra_execute x|"))


@pytest.mark.parametrize("cell", ["%%orchestra_execute", "|", "%|", "%%|", "\n\n|", "%%orchestra_execute '|", "%%orchestra_execute \"'|", "%%orchestra_execute --|",
                                  "%%orchestra_execute =|", "%%orchestra_execute --=|", "%%orchestra_execute $|", "%%orchestra_execute x\n$|\n",
                                  "%%orchestra_execute x\n${a.b[|", '%%orchestra_execute x\n{"|', "%%orchestra_nothing x\n|", "%orchestra_execute x\n%orchestra_run |",
                                  "%%orchestra_execute x\n" + '{"a":' * 3000 + "|", "%%orchestra_execute x\na: " + "$" * 5000 + "|",
                                  "%%orchestra_execute x\na: " + "[," * 5000 + "$a|", "%%orchestra_execute " + "'\"" * 2000 + "|"])  # fmt: skip
def test_half_typed_cells_never_raise_and_never_hang(
    cell: str, cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = cell if "|" in cell else cell + "|"
    begun = time.monotonic()
    ours(cells, cell)
    assert time.monotonic() - begun < 1
    assert capsys.readouterr().err == ""


def test_the_list_is_asked_for_once(tab: Callable[[str], list[str]], connected: Scripted) -> None:
    for _ in range(5):
        assert tab("%orchestra_form da|")
    assert len(connected.said) == 1


def test_an_old_list_is_asked_for_anew(
    tab: Callable[[str], list[str]], connected: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PAUSE_SECONDS", 0.0)
    tab("%orchestra_form da|")
    monkeypatch.setattr(catalog, "FRESH_SECONDS", 0.0)
    connected.on("GET", "/workflows", [workflow_json(name="dance")])
    assert tab("%orchestra_form da|") == ["%orchestra_form dance"]


class Slow:
    """A server that answers when the test lets it."""

    def __init__(self, server: Scripted, *names: str) -> None:
        self.release = threading.Event()
        self.answered = threading.Event()
        self.server = server
        self.names = names
        server.on("GET", "/workflows", self.answer)

    def answer(self, _: object) -> Reply:
        self.release.wait(5)
        self.answered.set()
        return Reply(data=[workflow_json(name=name) for name in self.names])


def test_a_slow_server_holds_up_typing_for_a_second_once(cells: Cells, connected: Scripted) -> None:
    slow = Slow(connected, "daily-etl")
    begun = time.monotonic()
    assert complete(cells.shell, "%orchestra_form da|") == []
    first = time.monotonic() - begun
    assert first < 2
    assert not slow.answered.is_set()
    begun = time.monotonic()
    assert complete(cells.shell, "%orchestra_form da|") == []
    assert time.monotonic() - begun < 0.8  # the answer is still under way: typing is not held up again
    slow.release.set()
    deadline = time.monotonic() + 5
    while complete(cells.shell, "%orchestra_form da|") != ["%orchestra_form daily-etl"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(connected.said) == 1


def test_with_a_slow_server_what_was_known_is_offered(
    tab: Callable[[str], list[str]], connected: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tab("%orchestra_form da|")
    monkeypatch.setattr(catalog, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(catalog, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(catalog, "GLANCE_SECONDS", 1.0)
    slow = Slow(connected, "dance")
    begun = time.monotonic()
    assert tab("%orchestra_form da|") == ["%orchestra_form daily-etl"]
    assert time.monotonic() - begun < 2
    slow.release.set()


@pytest.mark.usefixtures("patient")
def test_a_server_that_fails_is_left_alone_for_a_while(
    cells: Cells, connected: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    connected.on("GET", "/workflows", Reply(500, {"detail": "no"}))
    for _ in range(5):
        complete(cells.shell, "%orchestra_form da|")
    assert len(connected.said) == 1
    assert capsys.readouterr().err == ""


def test_another_server_is_asked_at_once_and_the_old_one_is_forgotten(
    cells: Cells, connected: Scripted, key: str
) -> None:
    slow = Slow(connected, "old")
    assert complete(cells.shell, "%orchestra_form ol|") == []
    other = Scripted()
    try:
        other.on("GET", "/workflows", [workflow_json(name="new")])
        settings.chosen.base_url = other.base_url
        settings.chosen.keys[settings.host_of(other.base_url)] = settings.Key(key)
        assert complete(cells.shell, "%orchestra_form ne|") == ["%orchestra_form new"]
        slow.release.set()
        assert slow.answered.wait(5)
        time.sleep(0.1)
        assert complete(cells.shell, "%orchestra_form |")[0] == "%orchestra_form new"
    finally:
        other.close()


@pytest.mark.parametrize("trouble", ["no key", "no address", "nobody there", "local"])
def test_without_a_server_there_is_nothing_and_no_server_is_started(
    trouble: str, cells: Cells, monkeypatch: pytest.MonkeyPatch, isolated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if trouble == "no key":
        monkeypatch.delenv("ORCHESTRA_API_KEY")
    elif trouble == "no address":
        monkeypatch.setenv("ORCHESTRA_BASE_URL", "ftp://nonsense")
    elif trouble == "nobody there":
        monkeypatch.setenv("ORCHESTRA_BASE_URL", "http://127.0.0.1:9/api/v1/workflow")
    else:
        monkeypatch.setenv("ORCHESTRA_BASE_URL", "local")
    begun = time.monotonic()
    assert complete(cells.shell, "%orchestra_form da|") == []
    assert time.monotonic() - begun < 2
    assert capsys.readouterr().err == ""
    assert not (isolated / "orchestra" / "local").exists()


def test_an_embedded_server_that_was_killed_is_not_started_by_a_tab(
    cells: Cells, monkeypatch: pytest.MonkeyPatch, isolated: Path
) -> None:
    from orchestra_magic import paths

    monkeypatch.setenv("ORCHESTRA_BASE_URL", "local")
    paths.server_file().parent.mkdir(parents=True)
    paths.server_file().write_text('{"base_url": "http://127.0.0.1:9/api/v1/workflow", "token": "t"}')
    assert complete(cells.shell, "%orchestra_form da|") == []
    assert [each.name for each in paths.server_file().parent.iterdir()] == [paths.server_file().name]


def test_unloading_takes_it_out(cells: Cells) -> None:
    assert len(cells.shell.Completer.custom_matchers) == 1
    cells.run("%reload_ext orchestra_magic")
    assert len(cells.shell.Completer.custom_matchers) == 1
    cells.run("%unload_ext orchestra_magic")
    assert cells.shell.Completer.custom_matchers == []
