"""A disk that is full refuses what is new, and nothing that was accepted is lost for it."""

import contextlib
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .embedded import LocalServer
from .graphs import code, graph

GRAPH = graph(
    {
        "a": code("import time\ntime.sleep(1.5)\n[{{n}}, 'x' * {{size}}]"),
        "b": code("{{a.data.results}}[0] + 1"),
    },
    *("START a", "a b", "b END"),
    selectedOutput="b",
    input_data={"n": "integer", "size": 0},
)
# More than SQLite keeps in memory: the disk refuses it in the middle of a transaction.
LARGE = 4_000_000
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


class Limited:
    """A server whose process may make no file larger than it is: its disk refuses as a full one does."""

    limit = 64 << 10

    def __init__(self, home):
        self.server = LocalServer(home).start()

    def fill(self):
        data = self.server.home / "local" / "data"
        assert (data / "orchestra.sqlite-wal").stat().st_size > self.limit
        _, hard = resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (self.limit, hard))

    def free(self):
        _, hard = resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (hard, hard))


class Full:
    """A server with its data on a small disk of its own, which is really full."""

    def __init__(self, home):
        data = home / "small"
        data.mkdir()
        self.server = LocalServer(home)
        done = on_a_small_disk(self.server, data, "64m", "start")
        assert done.returncode == 0, done.stderr
        self.server.read()
        self.filler = Path(f"/proc/{self.server.pid}/root{data}/filler")

    def fill(self):
        with self.filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self):
        self.filler.unlink()


def on_a_small_disk(server, folder, size, command, data=None):
    """Run ``orchestra-local`` where ``folder`` is a disk of ``size``, which nobody else sees; its data is there."""
    mount = f'mount -t tmpfs -o size={size} none "{folder}" && exec "$@"'
    ours = [sys.executable, "-m", "orchestra_magic.local", command, "--data", str(data or folder)]
    return subprocess.run(
        [*IN_A_NAMESPACE, mount, "sh", *ours],
        env=server.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def may_mount():
    try:
        command = [*IN_A_NAMESPACE, "mount -t tmpfs none /mnt"]
        return not subprocess.run(command, check=False, capture_output=True).returncode
    except OSError:
        return False


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit is of Linux")
@pytest.mark.parametrize("kind", [Limited, Full])
@pytest.mark.parametrize("size", [0, LARGE], ids=["small", "large"])
def test_a_disk_that_is_full_for_a_while(tmp_path, kind, size):
    if kind is Full and not may_mount():
        pytest.skip("may not mount here")
    disk = kind(tmp_path)
    server = disk.server
    try:
        workflow = server.upload(GRAPH, name="slow")
        accepted = {server.execute(workflow, {"n": n, "size": size if n == 0 else 0}): n for n in range(4)}
        disk.fill()
        refused = refusal(server, workflow, accepted)
        assert refused.status_code == 507
        assert "nothing was started" in refused.json()["detail"]
        upload = server.request("POST", "/workflows", json={**GRAPH, "description": "x" * LARGE})
        assert upload.status_code == 507
        assert "nothing was changed" in upload.json()["detail"]
        wait_for_log(server, "step a waits: ")
        assert {server.run(workflow, run_id, wait=0)["status"] for run_id in accepted} <= {"queued", "running"}
        disk.free()
        outputs = {run_id: server.run(workflow, run_id)["outputs"] for run_id in accepted}
        assert {run_id: output["data"]["results"] for run_id, output in outputs.items()} == {
            run_id: n + 1 for run_id, n in accepted.items()
        }
        assert {run["id"] for run in server.get(f"/workflows/{workflow}/runs")} == set(accepted)
        assert server.finish(workflow, {"n": 9})["status"] == "completed"
        assert "Traceback" not in (server.home / "local" / "server.log").read_text()
        if kind is Limited:
            server.kill()
            server.start()
            assert {server.run(workflow, run_id, wait=0)["status"] for run_id in accepted} == {"completed"}
    finally:
        server.stop()


def refusal(server, workflow, accepted):
    """Start runs until one is refused: what was written before may have left a little room."""
    for n in range(100, 200):
        path = f"/workflows/{workflow}/execute"
        response = server.request("POST", path, json={"n": n})
        if response.status_code != 200:
            return response
        accepted[response.json()["run_id"]] = n
    raise AssertionError("nothing was refused")


def wait_for_log(server, text):
    deadline = time.monotonic() + 60
    while text not in (said := (server.home / "local" / "server.log").read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def test_no_room_for_a_program_to_run_in(tmp_path):
    if not may_mount():
        pytest.skip("may not mount here")
    folder = tmp_path / "tmp"
    folder.mkdir()
    server = LocalServer(tmp_path, TMPDIR=str(folder))
    done = on_a_small_disk(server, folder, "8m,nr_inodes=20", "start", data=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    server.read()
    filled = Path(f"/proc/{server.pid}/root{folder}")
    try:
        with contextlib.suppress(OSError):
            for n in range(40):
                (filled / str(n)).mkdir()
        workflow = server.upload(GRAPH, name="slow")
        accepted = {server.execute(workflow, {"n": n}): n for n in range(5)}
        wait_for_log(server, "a code node waits: ")
        for made in filled.glob("[0-9]*"):
            made.rmdir()
        assert {server.run(workflow, run_id)["status"] for run_id in accepted} == {"completed"}
    finally:
        server.stop()


def test_no_room_to_start_in(tmp_path):
    if not may_mount():
        pytest.skip("may not mount here")
    server = LocalServer(tmp_path)
    data = tmp_path / "small"
    data.mkdir()
    for size in ("16k", "160k"):
        refused = on_a_small_disk(server, data, size, "serve")
        assert refused.returncode == 1
        [line] = refused.stderr.splitlines()
        assert "Make room on its disk" in line
    assert not (tmp_path / "local" / "server.json").exists()
