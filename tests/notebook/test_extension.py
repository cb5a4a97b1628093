"""Loading, unloading, settings and help: what the extension does to a shell, and takes back."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from scripted import Scripted
from shells import fresh_shell
from traitlets.config import Config

from orchestra_magic import Orchestra, OrchestraError
from orchestra_magic.client import journal
from orchestra_magic.client.settings import Chosen, chosen
from orchestra_magic.notebook.magics import OrchestraMagics

from .cells import Cells
from .workflows import RUN, STATE, WF, run_json

MAGICS = sorted(OrchestraMagics.magics["line"])


def anatomy(shell: InteractiveShell) -> dict[str, Any]:
    """Everything about a shell that an extension can add to."""
    transformers = shell.input_transformer_manager
    return {
        "line magics": dict(shell.magics_manager.magics["line"]),
        "cell magics": dict(shell.magics_manager.magics["cell"]),
        "registry": dict(shell.magics_manager.registry),
        "configurables": list(shell.configurables),
        "cleanup": list(transformers.cleanup_transforms),
        "line transforms": list(transformers.line_transforms),
        "token transformers": list(transformers.token_transformers),
        "ast": list(shell.ast_transformers),
        "matchers": list(shell.Completer.custom_matchers),
        "hooks": {name: repr(hook) for name, hook in vars(shell.hooks).items()},
        "events": {name: list(callbacks) for name, callbacks in shell.events.callbacks.items()},
        "formatters": {kind: dict(one.type_printers) for kind, one in shell.display_formatter.formatters.items()},
        "custom errors": shell.custom_exceptions,
        "names": set(shell.user_ns) - {"_", "__", "___", "_i", "_ii", "_iii", "_dh", "_ih", "_oh", "In", "Out"},
        "threads": {thread.name for thread in threading.enumerate() if thread.name.startswith("orchestra")},
    }


def test_unload_leaves_the_shell_as_it_was(shell: InteractiveShell, connected: Scripted, capsys: Any) -> None:
    cells = Cells(shell, capsys)
    for name in list(shell.magics_manager.magics["line"]):
        shell.find_line_magic(name)  # IPython loads its own at their first use
    for name in list(shell.magics_manager.magics["cell"]):
        shell.find_cell_magic(name)
    cells.run("1 + 1")
    before = anatomy(shell)
    connected.on("GET", STATE, run_json("running"))
    cells.run("%load_ext orchestra_magic")
    assert anatomy(shell) != before
    cells.run(f"%%orchestra_execute {WF} --quiet\nprompt: hi")
    cells.run("%config OrchestraMagics.base_url = 'https://example.com'\n%config OrchestraMagics.verbose_errors = True")
    orchestra = Orchestra(connected.base_url, "sk-x")
    stopped = orchestra.execute(WF).on_change(lambda _: None)  # a run that is still watched
    cells.run("del run_id")
    cells.run("%unload_ext orchestra_magic")
    stopped()
    assert anatomy(shell) == before
    assert chosen == Chosen()
    assert OrchestraError.verbose is False
    result = shell.run_cell(f"%orchestra_execute {WF}")
    assert "not found" in str(result.error_in_exec)


def test_unload_and_load_again(cells: Cells, connected: Scripted) -> None:
    for _ in range(2):
        cells.run("%unload_ext orchestra_magic")
        cells.run("%load_ext orchestra_magic")
    cells.run(f"%%orchestra_execute {WF}")
    assert len(connected.posts) == 1


def test_reload_works_and_doubles_nothing(cells: Cells, connected: Scripted) -> None:
    journal.settle()  # the test before may have left its thread at work
    before = {name: len(part) for name, part in anatomy(cells.shell).items() if isinstance(part, list | dict | set)}
    for _ in range(3):
        cells.run("%reload_ext orchestra_magic")
    after = {name: len(part) for name, part in anatomy(cells.shell).items() if isinstance(part, list | dict | set)}
    assert after == before
    cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
    assert cells["run_id"] == RUN
    assert len(connected.posts) == 1


def test_loading_twice_is_said_by_ipython_and_does_nothing(cells: Cells) -> None:
    before = anatomy(cells.shell)
    cells.run("%load_ext orchestra_magic")
    assert anatomy(cells.shell) == before


def test_other_cells_are_left_alone(cells: Cells) -> None:
    transform = cells.shell.input_transformer_manager.transform_cell
    others = [
        "# only a comment",
        "# a comment\n%%time\n1",
        "x = 1\n%orchestra_runs",
        "",
        "\n\n",
        "%%time\n",
        "%%orchestra_execute?",
    ]
    ours = [transform(cell) for cell in others]
    cells.run("%unload_ext orchestra_magic")
    assert [transform(cell) for cell in others] == ours


def test_a_cell_may_begin_with_a_comment(cells: Cells, connected: Scripted) -> None:
    cells.run(f"# greet\n\n%%orchestra_execute {WF}\nprompt: hi")
    assert connected.posts[0].json == {"prompt": "hi"}


def test_lazy_magics_need_no_load_ext(connected: Scripted, capsys: Any) -> None:
    config = Config()
    config.MagicsManager.lazy_magics = dict.fromkeys(MAGICS, "orchestra_magic")
    with fresh_shell(config) as shell:
        cells = Cells(shell, capsys)
        cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
        assert cells["run_id"] == RUN
        cells.run("%unload_ext orchestra_magic")


def test_a_configuration_file_reaches_the_client(connected: Scripted, capsys: Any) -> None:
    config = Config()
    config.OrchestraMagics.read_timeout = 7.5
    config.OrchestraMagics.base_url = "https://example.com/api"
    with fresh_shell(config) as shell:
        Cells(shell, capsys).run("%load_ext orchestra_magic")
        assert (chosen.read_timeout, chosen.base_url) == (7.5, "https://example.com/api")


def test_config_shows_every_setting_with_help_and_no_key(cells: Cells, key: str) -> None:
    cells.run(f"%orchestra_execute {WF} -q")
    cells.shown()
    cells.run("%config OrchestraMagics")
    said = cells.shown()
    assert key not in said
    settings = OrchestraMagics.class_traits(config=True)
    assert len(settings) >= 9
    for name, trait in settings.items():
        assert f"OrchestraMagics.{name}=" in said
        assert trait.help.split()[0] in said
    assert not any("key" in name and name != "api_key_env" for name in settings)


def test_config_changes_what_is_sent(cells: Cells, connected: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-another")
    cells.run("%config OrchestraMagics.api_key_env = 'MY_KEY'")
    cells.run(f"%%orchestra_execute {WF}")
    assert connected.posts[0].headers["Authorization"] == "Bearer sk-another"


def test_config_refuses_what_is_no_setting(cells: Cells, caplog: pytest.LogCaptureFixture) -> None:
    cells.shell.run_cell("%config OrchestraMagics.watch = 'sometimes'")
    assert "any of ['auto', 'live', 'wait', 'off']" in caplog.text  # IPython logs it
    assert cells.shell.magics_manager.registry["OrchestraMagics"].watch == "auto"


@pytest.mark.parametrize("magic", MAGICS)
def test_every_magic_explains_itself(magic: str, cells: Cells, connected: Scripted) -> None:
    cells.shown()
    cells.run(f"%{magic} --help")
    helped = cells.shown()
    cells.run(f"%{magic}?")
    assert cells.shown() == helped
    assert f"%{magic}" in helped
    assert "--help" in helped
    first = OrchestraMagics.__dict__[magic].__doc__
    assert first
    assert not connected.said


@pytest.mark.parametrize("cell", ["%%orchestra_execute --help", "%%orchestra_execute wf --help\nbroken: [", "%orchestra_execute --help --nonsense"])  # fmt: skip
def test_help_is_help_whatever_else_stands_there(cell: str, cells: Cells, connected: Scripted) -> None:
    cells.shown()
    assert cells.run(cell) is None
    said = cells.shown()
    for option in (
        "--run-id",
        "--outputs",
        "--wait",
        "--timeout",
        "--file",
        "--format",
        "--raw",
        "--strict",
        "--quiet",
    ):
        assert option in said
    assert "Examples" in said
    assert not connected.said
    assert "run_id" not in cells


def test_loading_loads_nothing_heavy() -> None:
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance();"
        "s.run_line_magic('load_ext', 'orchestra_magic');"
        "print([m for m in ('requests', 'yaml', 'ipywidgets', 'numpy', 'pandas', 'starlette') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"
