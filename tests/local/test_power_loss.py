"""The power goes: what was answered was on the disk by then, not in the memory of the system."""

import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .embedded import LocalServer
from .graphs import code, graph

SOURCE = Path(__file__).with_name("last_sync.c")
CHAIN = graph(
    {"a": code("{{n}} + 1"), "b": code("{{a.data.results}} * 2")},
    *("START a", "a b", "b END"),
    selectedOutput="b",
    input_data={"n": "integer"},
)

pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and shutil.which("cc")), reason="takes Linux and a C compiler (cc)"
)


@pytest.fixture
def server(tmp_path):
    library = tmp_path / "last_sync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    home, kept = tmp_path / "home", tmp_path / "kept"
    kept.mkdir()
    environment = {"LD_PRELOAD": str(library), "KEPT_FROM": str(home / "local" / "data"), "KEPT_IN": str(kept)}
    made = LocalServer(home, **environment).start()
    yield made
    made.close()


def cut_the_power(server, tmp_path):
    """End the server, and leave of its data only what was made durable."""
    server.kill()
    data, kept = server.home / "local" / "data", tmp_path / "kept"
    for path in data.glob("*.sqlite*"):
        path.unlink()
    for path in kept.glob("*.sqlite*"):
        if path.suffix in (".sqlite", ".sqlite-wal"):  # not what was being kept at that moment
            shutil.copy(path, data)


def test_what_was_answered_is_there_after_a_loss_of_power(server, tmp_path):
    choose = random.Random(7)
    workflow = server.upload(CHAIN, name="chain")
    accepted, completed = {}, {}
    for _ in range(3):
        cut = threading.Timer(choose.uniform(0.4, 1.2), cut_the_power, (server, tmp_path))
        cut.start()
        try:
            while True:
                n = len(accepted)
                accepted[server.execute(workflow, {"n": n})] = n
                for run_id in choose.sample(sorted(accepted), min(3, len(accepted))):
                    for step in server.steps(workflow, run_id):
                        if step["status"] == "completed":
                            completed[step["id"]] = step
        except OSError:  # nobody answers any more
            cut.join()
        server.start()
        history = server.get(f"/workflows/{workflow}/runs?limit=1000")
        assert {run["id"] for run in history} >= set(accepted)
    finished = {run_id: server.run(workflow, run_id)["outputs"] for run_id in accepted}
    assert {run_id: said["data"]["results"] for run_id, said in finished.items()} == {
        run_id: 2 * (n + 1) for run_id, n in accepted.items()
    }
    after = {step["id"]: step for run_id in accepted for step in server.steps(workflow, run_id)}
    assert completed.items() <= after.items()
    assert len(completed) > 20
