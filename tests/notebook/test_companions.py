"""The line magics around the start: each returns what shows itself, as text and as HTML."""

from __future__ import annotations

import builtins
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from local.embedded import LocalServer
from scripted import Reply, Scripted

from orchestra_magic import NotFound, OrchestraConfigError, OrchestraInputError, OrchestraUsageError, ServerError
from orchestra_magic.client import journal, settings

from .cells import Cells
from .workflows import EXECUTE, RUN, WF, run_json

CODE = {"nodes": {"a": {"type": "code", "metadata": {"code": "1"}}}, "edges": [["START", "a"], ["a", "END"]]}
MODEL = {"nodes": {"m": {"type": "model", "metadata": {}}}, "edges": []}


def test_lists_are_tables_and_frames(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", f"/workflows/{WF}/runs", run_json(outputs="Hi", inputs={"name": "Ada"}))
    workflows = cells.run("%orchestra_workflows")
    history = cells.run(f"%orchestra_history {WF} --limit 3")
    assert connected.said[-1].path.endswith("?limit=3&offset=0")
    for found, words in ((workflows, [WF, "inputs"]), (history, [RUN, "✔ completed", '{"name": "Ada"}'])):
        bundle = cells.bundle(found)
        assert all(word in bundle["text/plain"] for word in words)
        assert bundle["text/html"].startswith("<table")
    assert list(history.to_frame()["status"]) == ["completed"]


def test_a_workflow_shows_its_inputs_and_picture(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [{"workflow_id": WF, "graph": CODE}])
    bundle = cells.bundle(cells.run(f"%orchestra_workflow {WF}"))
    assert "START" in bundle["text/plain"]
    assert "data:image/svg+xml;base64," in bundle["text/html"]


def test_what_this_computer_started(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", f"/workflows/{WF}/runs", run_json(outputs="Hi"))
    cells.run(f"%orchestra_execute {WF}")
    (run,) = cells.run("%orchestra_runs")
    assert (run.id, run.latest.status) == (RUN, "completed")


def test_coming_back_by_id_variable_or_nothing(cells: Cells) -> None:
    with pytest.raises(OrchestraUsageError, match="No run was started in this session"):
        cells.run("%orchestra_run")
    cells.run(f"%orchestra_execute {WF}")
    for line in (
        "%orchestra_run",
        "%orchestra_run $run_id",
        f"%orchestra_run {RUN}",
        f"%orchestra_run {RUN} --workflow {WF}",
    ):
        assert cells.run(line).latest.outputs == "Hi Ada"
    with pytest.raises(OrchestraUsageError, match="there is no variable 'nope'"):
        cells.run("%orchestra_run $nope")


def test_steps_and_cancel(cells: Cells, connected: Scripted) -> None:
    connected.on(
        "GET", f"/workflows/{WF}/runs/{RUN}/steps", [{"node_id": "greet", "status": "completed", "outputs": "Hi"}]
    )
    cells.run(f"%orchestra_execute {WF}")
    (step,) = steps = cells.run("%orchestra_steps")
    assert step.node == "greet"
    assert "greet" in cells.bundle(steps)["text/plain"]
    with pytest.raises(OrchestraUsageError, match="cannot cancel"):
        cells.run("%orchestra_cancel")


def test_connect_says_where_and_hides_the_key(cells: Cells, connected: Scripted, key: str) -> None:
    for said in (cells.run("%orchestra_connect"), cells.run(f"%orchestra_connect {connected.base_url}")):
        bundle = cells.bundle(said)
        assert f"{connected.base_url} (key ********): 1 workflow." in bundle["text/plain"]
        assert key not in str(bundle)


def test_connect_elsewhere_asks_for_a_key_of_its_own(
    cells: Cells, connected: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRA_BASE_URL", settings.HOSTED)  # so the key in the environment is not for it
    asked: list[str] = []
    monkeypatch.setattr(
        "orchestra_magic.notebook.connection.getpass", lambda prompt: asked.append(prompt) or "sk-typed"
    )
    cells.run(f"%orchestra_connect {connected.base_url}")
    assert asked == [f"API key for {settings.host_of(connected.base_url)}: "]
    assert connected.said[-1].headers["Authorization"] == "Bearer sk-typed"


def test_connect_without_a_key_says_where_and_that_there_is_none(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRA_BASE_URL")
    monkeypatch.delenv("ORCHESTRA_API_KEY")
    for text in cells.bundle(cells.run("%orchestra_connect")).values():
        assert settings.HOSTED in text
        assert "There is no API key for orchestra.arcee.ai." in text
        assert "%orchestra_connect local" in text


def test_after_a_restart_the_journal_says_where_a_run_is(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(2):
        journal.intended(f"k{n}", base_url="local", workflow_id=WF, digest="d")
        journal.started(f"k{n}", f"{n}{RUN}")
    monkeypatch.delenv("ORCHESTRA_BASE_URL")
    monkeypatch.delenv("ORCHESTRA_API_KEY")
    for options in ("", f" --workflow {WF}"):
        error = cells.fail(f"%orchestra_run 0{RUN}{options}")
        assert isinstance(error, NotFound)
        assert "was started on the embedded Orchestra" in str(error)
        assert "Type `%orchestra_connect local` first." in str(error)
        assert "API key" not in str(error)
    for text in cells.bundle(cells.run("%orchestra_runs")).values():
        assert f"This computer has started no runs on {settings.HOSTED}." in text
        assert "It has started 2 runs on the embedded Orchestra: `%orchestra_connect local` goes there." in text


def test_a_connection_that_fails_keeps_the_one_before(
    cells: Cells, connected: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("orchestra_magic.notebook.connection.getpass", nobody)
    with pytest.raises(OrchestraConfigError, match="There is no API key for orchestra.example"):
        cells.run("%orchestra_connect https://orchestra.example/api")
    with pytest.raises(OrchestraConfigError, match="plain http"):
        cells.run("%orchestra_connect http://orchestra.example/api")
    assert connected.base_url in str(cells.run("%orchestra_connect"))


def test_a_dry_run_by_the_magic(cells: Cells, connected: Scripted) -> None:
    shown = cells.run(f"%%orchestra_execute {WF} --dry-run\nname: Ada")
    assert '{"name":"Ada"}' in cells.bundle(shown)["text/plain"]
    assert connected.said == []
    assert "run_id" not in cells


def test_reuse_and_twins_by_the_magic(cells: Cells, connected: Scripted) -> None:
    cells.run(f"%%orchestra_execute {WF} -w\nname: Ada")
    reused = cells.run(f"%%orchestra_execute {WF} --reuse\nname: Ada")
    assert "Taken instead of a new run" in cells.bundle(reused)["text/plain"]
    assert len(connected.posts) == 1
    twin = cells.run(f"%%orchestra_execute {WF}\nname: Ada")
    assert "had the same inputs" in cells.bundle(twin)["text/html"]
    assert len(connected.posts) == 2


DECLARED = {"input_data": {"name": {"type": "string", "required": True}}, "nodes": {}}


@pytest.mark.parametrize(
    ("body", "words"), [("nmae: Ada", "There is no input 'nmae'. Did you mean 'name'?"), ("", "'name' is missing")]
)
def test_inputs_that_are_missing_or_misspelt(cells: Cells, connected: Scripted, body: str, words: str) -> None:
    connected.on("GET", "/workflows", [{"workflow_id": WF, "name": "hi", "graph": DECLARED}])
    with pytest.raises(OrchestraInputError, match=words.replace("?", r"\?")):
        cells.run(f"%%orchestra_execute hi --strict\n{body}\n")
    assert connected.posts == []
    cells.shown()
    cells.run(f"%%orchestra_execute hi\n{body}\n")
    assert words in cells.shown()
    assert len(connected.posts) == 1


def test_upload_a_cell(cells: Cells, connected: Scripted) -> None:
    connected.on("POST", "/workflows", {"workflow_id": "new", "name": "mine", "graph": CODE})
    uploaded = cells.run(
        "%%orchestra_upload mine\nnodes: {a: {type: code, metadata: {code: '1'}}}\nedges: [[START, a], [a, END]]"
    )
    assert connected.posts[-1].json == {"name": "mine", "graph": CODE, "trusted": True}
    assert "mine" in cells.bundle(uploaded)["text/plain"]


@pytest.mark.parametrize(
    ("graph", "option", "said", "trusted"),
    [
        (CODE, "--trust", None, True),
        (CODE, "--no-trust", None, False),
        (CODE, "", "y", True),
        (CODE, "", "", False),
        (MODEL, "", None, True),
    ],
)
def test_upload_a_file(
    cells: Cells, connected: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    graph: Any, option: str, said: str | None, trusted: bool,
) -> None:  # fmt: skip
    def asked(_: str) -> str:
        assert said is not None, "nobody was to be asked"
        return said

    monkeypatch.setattr(builtins, "input", asked)
    connected.on("POST", "/workflows", {"workflow_id": "new"})
    file = tmp_path / "daily.json"
    file.write_text(json.dumps(graph))
    cells.run(f'%orchestra_upload "{file}" {option}')
    assert connected.posts[-1].json == {"name": "daily", "graph": graph, "trusted": trusted}


def test_upload_where_nobody_can_be_asked(
    cells: Cells, connected: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", nobody)
    file = tmp_path / "daily.json"
    file.write_text(json.dumps(CODE))
    with pytest.raises(OrchestraUsageError, match="Say --trust if it may run as you"):
        cells.run(f"%orchestra_upload {file}")
    with pytest.raises(OrchestraUsageError, match="No such file"):
        cells.run("%orchestra_upload nowhere.json")
    with pytest.raises(OrchestraUsageError, match="There is no graph"):
        cells.run("%orchestra_upload")
    assert connected.posts == []


def test_every_fault_of_an_upload_is_named(cells: Cells, connected: Scripted) -> None:
    faults = [
        {"node": "a", "field": "type", "message": "unknown type"},
        {"node": "b", "field": "then", "message": "no such node"},
    ]
    connected.on("POST", "/workflows", Reply(400, {"detail": faults}))
    with pytest.raises(ServerError) as caught:
        cells.run("%%orchestra_upload\nnodes: {}")
    first, *rest = str(caught.value).split("\n")
    assert first.endswith(" did not accept the request (400): 2 faults")
    assert rest == ["  a.type: unknown type", "  b.then: no such node"]
    connected.on("POST", "/workflows", Reply(400, {"detail": faults[:1]}))
    with pytest.raises(ServerError, match=r"\(400\): a.type: unknown type\.$"):
        cells.run("%%orchestra_upload\nnodes: {}")
    connected.on("POST", "/workflows", Reply(400, {"detail": faults * 20}))
    with pytest.raises(ServerError, match=r"40 faults\n(  .*\n){20}  … and 20 more$"):
        cells.run("%%orchestra_upload\nnodes: {}")


@pytest.mark.parametrize("name", ["my-first", ""])
def test_an_upload_of_an_empty_cell_says_that_it_is_empty(cells: Cells, connected: Scripted, name: str) -> None:
    with pytest.raises(OrchestraUsageError, match="The cell is empty: write the graph"):
        cells.run(f"%%orchestra_upload {name}\n")
    assert connected.posts == []


def test_the_graph_that_the_help_of_an_upload_shows_is_taken(cells: Cells, tmp_path: Path, monkeypatch: Any) -> None:
    lines = inspect.cleandoc(cells.shell.find_line_magic("orchestra_upload").__doc__).split("\n")
    begin = next(n for n, line in enumerate(lines) if "%%orchestra_upload" in line)
    example = textwrap.dedent("\n".join(lines[begin : lines.index("", begin)]))
    server = LocalServer(tmp_path).start()
    try:
        monkeypatch.setenv("ORCHESTRA_HOME", str(tmp_path))
        cells.run("%orchestra_connect local")
        cells.run(example)
        run = cells.run("%%orchestra_execute square -w\nx: 7")
        assert run.all_outputs["squared"]["data"]["results"] == 49
    finally:
        server.close()


def test_a_variable_names_the_workflow(cells: Cells, connected: Scripted) -> None:
    cells.shell.user_ns["wf"] = WF
    cells.run("%orchestra_execute $wf")
    cells.run("%orchestra_execute {wf}")
    assert [said.path for said in connected.posts] == [EXECUTE, EXECUTE]
    assert isinstance(cells.fail("%orchestra_execute nobody"), NotFound)


def test_lazy_magics_need_no_load_ext(shell: Any, connected: Scripted) -> None:
    shell.magics_manager.lazy_magics = {"orchestra_execute": "orchestra_magic"}
    shell.run_cell(f"%%orchestra_execute {WF}\nname: Ada").raise_error()
    assert connected.posts[0].json == {"name": "Ada"}
