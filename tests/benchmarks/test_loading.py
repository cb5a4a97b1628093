"""The cost of ``%load_ext`` over a bare ipykernel, beside that of other magics for queries.

Run it with ``pytest tests/benchmarks/test_loading.py -m slow``. BENCHMARK_CACHE names a folder that keeps the
environment of the others between runs; without it the environment is made anew.

All stand in one environment, so that the process around them is the same: a real ``ipykernel_launcher``, asked
over ZMQ as a front end does it. In a fresh kernel one cell times one ``%load_ext``. An extension that does
nothing gives the floor: what ``%load_ext`` costs by itself. Ours is a copy of this checkout's package, compiled
to bytecode as pip does it for the others.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from .figures import median, spread, table

ROUNDS = 9
OURS, NOTHING = "orchestra_magic", "extension_of_nothing"
PEERS = {"sql": "jupysql", "bigquery_magics": "bigquery-magics"}
MAGICS = {OURS: "orchestra_execute", "sql": "sql", "bigquery_magics": "bigquery"}
GOAL = 20
REPOSITORY = Path(__file__).parents[2]

MEASURE = """
import psutil as _psutil, sys as _sys, time as _time
_rss, _modules, _shell = _psutil.Process().memory_info().rss, len(_sys.modules), get_ipython()
_begun = _time.perf_counter()
_shell.run_line_magic("load_ext", {extension!r})
_seconds = _time.perf_counter() - _begun
_result = {{
    "seconds": _seconds,
    "modules": len(_sys.modules) - _modules,
    "modules_before": _modules,
    "rss": _psutil.Process().memory_info().rss - _rss,
    "file": _sys.modules[{extension!r}].__file__,
    "cell_magics": sorted(_shell.magics_manager.magics["cell"]),
    "heavy": [name for name in ("requests", "ipywidgets", "yaml") if name in _sys.modules],
    "shell": type(_shell).__name__,
}}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has ipykernel, the peers, and what our package depends on."""
    cache = os.environ.get("BENCHMARK_CACHE")
    folder = (Path(cache) if cache else tmp_path_factory.mktemp("peers")) / "peers"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if not done.exists():
        ours = [each for each in importlib.metadata.requires("orchestra-magic") or [] if "extra ==" not in each]
        same = [f"{name}=={importlib.metadata.version(name)}" for name in ("ipython", "ipykernel")]
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PEERS.values(), *ours, *same]
        if subprocess.run(install, check=False).returncode:
            pytest.skip("pip cannot install the packages to compare with")
        done.touch()
    return python


@pytest.fixture
def bare(environment: Path, tmp_path: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to start kernels in, with our package; nothing in their environment sends a message home."""
    (tmp_path / f"{NOTHING}.py").write_text("def load_ipython_extension(shell):\n    pass\n")
    shutil.copytree(REPOSITORY / OURS, tmp_path / OURS, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([str(environment), "-m", "compileall", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("PLOOMBER_STATS_ENABLED", "false")
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_a_kernel(python: Path, folder: Path, extension: str) -> dict[str, Any]:
    """Start a kernel, load one extension in it, and return what that took."""
    manager = KernelManager(cache_ports=False)
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(cwd=str(folder))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute_interactive("1", timeout=60, output_hook=lambda _: None)  # the first cell's own cost
        code = MEASURE.format(extension=extension)
        reply = client.execute_interactive(
            code, timeout=120, output_hook=lambda _: None, user_expressions={"result": "_result"}
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return ast.literal_eval(reply["content"]["user_expressions"]["result"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_loading_beside_other_magics(environment, bare, capsys):
    extensions = [NOTHING, OURS, *PEERS]
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in extensions}
    for number in range(ROUNDS + 1):
        turned = extensions[number % len(extensions) :] + extensions[: number % len(extensions)]
        for name in turned:
            result = in_a_kernel(environment, bare, name)
            if number:  # the first round fills the caches: files in memory, bytecode
                seen[name].append(result)

    for name, magic in MAGICS.items():
        assert all(magic in result["cell_magics"] for result in seen[name]), name
    assert {result["shell"] for results in seen.values() for result in results} == {"ZMQInteractiveShell"}
    assert {Path(result["file"]).parents[1] for result in seen[OURS]} == {bare}
    assert not any(result["heavy"] for result in seen[OURS]), seen[OURS][0]["heavy"]
    with capsys.disabled():
        print(f"\n\n{report(seen, environment)}\n")


def report(seen: dict[str, list[dict[str, Any]]], python: Path) -> str:
    """Return the table and the ratios."""

    def of(name: str, what: str) -> list[float]:
        return [result[what] for result in seen[name]]

    floor = median(of(NOTHING, "seconds"))
    rows = []
    for name in seen:
        low, middle, high = (1000 * value for value in spread(of(name, "seconds")))
        over = middle - 1000 * floor
        rows.append(
            [
                "nothing (the floor)" if name == NOTHING else name,
                f"{middle:.2f} ms",
                f"{low:.2f} … {high:.2f}",
                "" if name == NOTHING else f"{over:.2f} ms",
                f"{median(of(name, 'modules')):.0f}",
                f"{median(of(name, 'rss')) / 1e6:.2f} MB",
            ]
        )
    head = ["%load_ext", "median", "quartiles", "over the floor", "new modules", "RSS"]
    lines = [
        f"%load_ext in a bare ipykernel: {ROUNDS} fresh kernels each, in turn ({versions(python)})",
        table(head, rows),
    ]
    for name in PEERS:
        pairs = [theirs / mine for theirs, mine in zip(of(name, "seconds"), of(OURS, "seconds"), strict=True)]
        over = (median(of(name, "seconds")) - floor) / (median(of(OURS, "seconds")) - floor)
        lines.append(
            f"  {name} takes {median(pairs):.1f} times as long as {OURS} (least {min(pairs):.1f}), "
            f"{over:.1f} times over the floor; goal: at least {GOAL}"
        )
    return "\n".join(lines)


def versions(python: Path) -> str:
    """Return which packages were compared."""
    names = ["ipykernel", "ipython", *PEERS.values()]
    code = f"import importlib.metadata as m; print(*(n + ' ' + m.version(n) for n in {names}), sep=', ')"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return f"Python {sys.version.split()[0]}, {done.stdout.strip()}"
