"""Watching a run in real kernels and by papermill: interrupts, time-outs, and front ends that are not live."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from scripted import Reply, Said, Scripted

from .workflows import EXECUTE, RUN, STARTED, STATE, STEPS, WF, run_json, workflow_json

LOAD = "%load_ext orchestra_magic"
WAITS = {
    "a cell with --wait": f"%%orchestra_execute {WF} --wait -o run\nprompt: hi",
    "run.wait()": f"run = %orchestra_execute {WF} -q\nrun.wait()",
    "await run": f"run = %orchestra_execute {WF} -q\nawait run",
}
SERVERS = ["answers at once", "holds its answers"]
SECONDS = 60.0
"""How long anything may take on a busy machine."""


@pytest.fixture(scope="module")
def far() -> Iterator[Scripted]:
    """One server for the kernels of this module."""
    server = Scripted()
    server.on("GET", "/workflows", [workflow_json()])
    server.on("POST", EXECUTE, STARTED)
    server.on("GET", STEPS, [])
    yield server
    server.close()


@pytest.fixture(scope="module")
def environment(far: Scripted, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a kernel's process gets to see."""
    home = tmp_path_factory.mktemp("kernel")
    return os.environ | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "ORCHESTRA_HOME": str(home / "orchestra"),
        "ORCHESTRA_BASE_URL": far.base_url,
        "ORCHESTRA_API_KEY": "sk-planted-0123456789abcdef",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class Kernel:
    """A real kernel, spoken to as a front end does it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=SECONDS)
        self.run(LOAD)

    def send(self, cell: str) -> None:
        """Run a cell, and do not wait for it."""
        self._sent = self._client.execute(cell)

    def interrupt(self) -> float:
        """Interrupt the cell that runs, and return when that was."""
        self._manager.interrupt_kernel()
        return time.monotonic()

    def outputs(self) -> list[dict[str, Any]]:
        """Return what the cell that was sent shows until the kernel is idle again; updates of a display included."""
        shown = []
        while True:
            message = self._client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != self._sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return shown
            if message["msg_type"] not in {"status", "execute_input"}:
                shown.append({"type": message["msg_type"], **message["content"]})

    def run(self, cell: str) -> list[dict[str, Any]]:
        self.send(cell)
        return self.outputs()

    def printed(self, cell: str) -> str:
        """Run a cell, and return what it printed: cards of other cells may change meanwhile."""
        return "".join(each["text"] for each in self.run(cell) if each["type"] == "stream")

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def one_kernel(environment: dict[str, str]) -> Iterator[Kernel]:
    made = Kernel(environment)
    yield made
    made.close()


@pytest.fixture
def kernel(one_kernel: Kernel) -> Iterator[Kernel]:
    """A kernel in which nothing is watched, and nothing is set."""
    yield one_kernel
    one_kernel.run(
        "import sys\nsys.modules.pop('google.colab', None)\n%config OrchestraMagics.watch = 'auto'\n"
        f"%unload_ext orchestra_magic\n{LOAD}"
    )


def running(far: Scripted, kind: str) -> None:
    """Let the run go on for ever, on a server of this kind."""

    def held(said: Said) -> Reply:
        asked = re.search(r"wait=(\d+)", said.headers.get("Prefer", ""))
        if asked is None or "If-None-Match" not in said.headers:
            return Reply(data=run_json("running"), headers={"ETag": '"1"'})
        threading.Event().wait(float(asked[1]))
        return Reply(status=304, headers={"ETag": '"1"', "Preference-Applied": "wait"})

    far.on("GET", STATE, held if kind == "holds its answers" else run_json("running"))


def looked(far: Scripted, times: int) -> None:
    """Wait until a run was looked at so many times more: whoever waits for it is in the midst of that."""
    target = sum(said.path == STATE for said in far.said) + times
    end = time.monotonic() + SECONDS
    while sum(said.path == STATE for said in far.said) < target:
        assert time.monotonic() < end
        time.sleep(0.005)


def detached(kernel: Kernel, far: Scripted, how: str, kind: str) -> float:
    """Interrupt a wait, hold that it detached, and return the seconds from the interrupt to the idle kernel."""
    running(far, kind)
    kernel.send(WAITS[how])
    looked(far, 2)
    before = kernel.interrupt()
    outputs = kernel.outputs()
    took = time.monotonic() - before
    (error,) = [each for each in outputs if each["type"] == "error"]
    line = f"Stopped waiting; run {RUN[:8]} goes on. Come back to it with `%orchestra_run {RUN} --workflow {WF}`."
    assert (error["ename"], error["evalue"]) == ("RunDetached", line)
    assert len(error["traceback"]) == 1
    assert kernel.printed("print(run.id == run_id, run.latest.finished)") == "True False\n"
    return took


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("how", WAITS)
def test_an_interrupt_detaches(how: str, kind: str, kernel: Kernel, far: Scripted) -> None:
    # Generous for busy machines; a wait that only ends when the server answers would take up to 20 s.
    assert detached(kernel, far, how, kind) < 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("how", WAITS)
def test_an_interrupt_detaches_within_half_a_second(
    how: str, kind: str, kernel: Kernel, far: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    took = [detached(kernel, far, how, kind) for _ in range(9)]
    with capsys.disabled():
        print(f"\n{how}, server {kind}: median {1000 * median(took):.0f} ms, longest {1000 * max(took):.0f} ms")
    assert median(took) <= 0.5


def test_colab_waits_in_the_cell_and_live_can_be_asked_for(kernel: Kernel, far: Scripted) -> None:
    kernel.run("import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')")
    far.on("GET", STATE, *[run_json("running")] * 2, run_json(outputs="Hi Ada"))
    *_, last = kernel.run(f"%%orchestra_execute {WF} -o run\nprompt: hi")
    assert last["type"] == "update_display_data"  # before the cell was over
    assert "Hi Ada" in last["data"]["text/plain"]
    assert kernel.printed("print(run.latest.finished)") == "True\n"

    running(far, "answers at once")
    kernel.run("%config OrchestraMagics.watch = 'live'")
    (card,) = [each for each in kernel.run(f"%orchestra_execute {WF} -o run") if each["type"] == "display_data"]
    assert "completed" not in card["data"]["text/plain"]


def test_wait_and_off_as_the_setting_says(kernel: Kernel, far: Scripted) -> None:
    far.on("GET", STATE, run_json("running"), run_json(outputs="Hi Ada"))
    kernel.run("%config OrchestraMagics.watch = 'wait'")
    assert "Hi Ada" in kernel.run(f"%orchestra_execute {WF}")[-1]["data"]["text/plain"]
    kernel.run("%config OrchestraMagics.watch = 'off'")
    (value,) = kernel.run(f"%orchestra_execute {WF}")
    assert value["type"] == "execute_result"  # the run as any other value, once, and not followed


def test_unloading_ends_the_watch(kernel: Kernel, far: Scripted) -> None:
    running(far, "answers at once")
    kernel.run(f"%orchestra_execute {WF}")
    looked(far, 1)
    names = "print([each.name for each in threading.enumerate() if 'orchestra' in each.name])"
    assert "orchestra-watcher" in kernel.printed(f"import threading\n{names}")
    assert kernel.printed(f"%unload_ext orchestra_magic\n{names}") == "[]\n"


def papermilled(environment: dict[str, str], folder: Path, cell: str, *others: str) -> tuple[int, str, list[Any]]:
    """Run a notebook of this cell and another by papermill: exit status, what it said, the cells as written."""
    code = [nbformat.v4.new_code_cell(each) for each in (LOAD, cell, *others, "print('went on')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), folder / "in.ipynb")
    command = [sys.executable, "-m", "papermill", folder / "in.ipynb", folder / "out.ipynb", "--no-progress-bar"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    cells = nbformat.read(folder / "out.ipynb", as_version=4).cells
    return done.returncode, done.stdout + done.stderr, [each for each in cells if each.cell_type == "code"]


ENDS = {
    "RunFailed": ("--wait", run_json("failed", error="no such model"), "✘ failed", "ended as failed: no such model."),
    "RunTimeout": ("--wait --timeout 0.5", run_json("running"), "◐ running", "Not over after 0.5 s; run fda37c90 goes"),
}


@pytest.mark.parametrize("name", ENDS)
def test_papermill_stops_and_keeps_the_card(
    name: str, environment: dict[str, str], far: Scripted, tmp_path: Path
) -> None:
    options, state, mark, says = ENDS[name]
    far.on("GET", STATE, state)
    status, said, cells = papermilled(environment, tmp_path, f"%%orchestra_execute {WF} {options}\nprompt: hi")
    assert status == 1
    assert name in said
    assert says in said
    card, error = cells[1].outputs
    assert card["output_type"] == "display_data"
    assert mark in card["data"]["text/plain"]
    assert RUN in card["data"]["text/html"]
    assert error["ename"] == name
    assert cells[2].outputs == []


def test_a_long_error_stands_whole_on_the_card_alone(
    environment: dict[str, str], far: Scripted, tmp_path: Path
) -> None:
    long = "no such model; " * 20 + "choose another"
    far.on("GET", STATE, run_json("failed", error=long))
    _, _, cells = papermilled(environment, tmp_path, f"%%orchestra_execute {WF} --wait\nprompt: hi")
    card, error = cells[1].outputs
    assert long in card["data"]["text/html"]
    assert long in error["evalue"]
    (line,) = error["traceback"]
    assert line.startswith("RunFailed: Run fda37c90 ended as failed: no such model;")
    assert line.endswith("… The card above says all.")


def test_papermill_keeps_the_card_of_a_run_that_ends_after_its_cell(
    environment: dict[str, str], far: Scripted, tmp_path: Path
) -> None:
    """It drops what a thread displays for a cell that is over."""
    over = threading.Event()
    far.on("GET", STATE, lambda _: run_json("completed" if over.is_set() else "running"))
    far.on("GET", "/over", lambda _: over.set() or {})
    cells = [
        f"%%orchestra_execute {WF} -o run\nprompt: hi",
        f"import requests\nassert requests.get({far.base_url + '/over'!r}).ok\nrun.wait(60);",
    ]
    status, said, written = papermilled(environment, tmp_path, *cells)
    assert status == 0, said
    (card,) = written[1].outputs
    assert "✔ completed" in card["data"]["text/plain"]
    assert written[2].outputs == []
