import contextlib
import fcntl
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time

import pytest
import requests

from orchestra_magic import Orchestra, paths


def test_ten_starts_at_the_same_moment_start_one_server(make_server):
    server = make_server()
    command = [sys.executable, "-m", "orchestra_magic.local", "start", "--json"]
    starts = [subprocess.Popen(command, env=server.environment, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    answers = [json.loads(one.communicate(timeout=60)[0]) for one in starts]
    assert {one.returncode for one in starts} == {0}
    assert len({answer["pid"] for answer in answers}) == 1
    assert (server.home / "local" / "server.log").read_text().count("answers at") == 1


def test_status_stop_and_the_same_address_again(make_server):
    server = make_server()
    none = server.command("status")
    assert (none.returncode, "orchestra-local start" in none.stderr) == (1, True)
    assert json.loads(server.command("status", "--json").stdout)["pid"] is None
    assert (server.command("token").returncode, server.command("token").stdout) == (1, "")
    server.start()
    assert server.command("token").stdout == f"{server.token}\n"
    status = json.loads(server.command("status", "--json").stdout)
    assert set(status) == {"pid", "base_url", "data", "version", "runs"}
    assert status["base_url"].endswith("/api/v1/workflow")
    before = server.base_url, server.token
    assert f"stopped process {status['pid']}" in server.command("stop").stdout
    assert not (server.home / "local" / "server.json").exists()
    assert server.command("stop").stdout == "no server runs\n"
    server.start()
    assert (server.base_url, server.token) == before
    assert "answers at" in server.command("logs").stdout


def test_a_home_that_is_relative_is_the_same_folder_for_all(make_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = make_server(ORCHESTRA_HOME="sub")
    server.home = tmp_path / "sub"
    server.start()
    assert json.loads(server.command("status", "--json").stdout)["data"] == str(tmp_path / "sub" / "local" / "data")
    assert server.command("stop").stdout == f"stopped process {server.pid}\n"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["local"]


def test_a_home_that_is_relative_stays_when_the_working_folder_changes(make_server, tmp_path, monkeypatch):
    server = make_server()
    server.home = tmp_path / "of-a-notebook"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRA_HOME", "of-a-notebook")
    assert paths.home() == server.home
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Orchestra("local").workflows()
    assert server.running()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_port_that_is_taken(restarted):
    server = restarted
    port = int(server.base_url.split(":")[2].split("/")[0])
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        refused = server.command("start", "--port", str(port))
        assert refused.returncode == 1
        assert f"port {port} cannot be used" in refused.stderr
        token = server.token
        server.start()
        assert f":{port}/" not in server.base_url
        assert server.token == token


def listening(port):
    """Return a socket that listens on a port which a process that was killed lets go in a moment."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_token_is_not_for_whoever_took_the_port_of_a_server_that_was_killed(restarted):
    server = restarted
    port = int(server.base_url.split(":")[2].split("/")[0])
    server.kill()
    assert (server.home / "local" / "server.json").exists()
    with listening(port) as other:
        assert server.command("status").returncode == 1
        assert server.command("token").returncode == 1
        server.start()
        other.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody has come
            other.accept()
    assert server.finish("hello")["status"] == "completed"


def test_a_server_that_does_not_answer_is_said_to_be_there(restarted):
    server = restarted
    os.kill(server.pid, signal.SIGSTOP)
    try:
        said = server.command("status").stderr
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert f"a server is there, process {server.pid}, and does not answer" in said
    assert server.finish("hello")["status"] == "completed"


def test_logs_are_rotated_and_read_on(make_server):
    server = make_server()
    folder = server.home / "local"
    folder.mkdir(mode=0o700)
    line = "x" * 99 + "\n"
    for number, name in enumerate(["server.log", "server.log.1", "server.log.2", "server.log.3"]):
        (folder / name).write_text(f"log {number}\n" + line * 50_000)
    server.start()
    sizes = {path.name: path.stat().st_size for path in folder.glob("server.log*")}
    assert set(sizes) == {"server.log", "server.log.1", "server.log.2", "server.log.3"}
    assert sizes["server.log"] < 5_000
    firsts = [(folder / f"server.log.{n}").read_text()[:5] for n in (1, 2, 3)]
    assert firsts == ["log 0", "log 1", "log 2"]
    said = server.command("logs", "-n", "10").stdout.splitlines()
    assert len(said) == 10
    assert said[0] == line.strip()
    assert "answers at" in said[-1]


def test_a_second_server_says_who_holds_the_data(restarted, make_server):
    server = restarted
    refused = server.command("serve")
    assert refused.returncode == 1
    data = json.loads(server.command("status", "--json").stdout)["data"]
    assert f"another server, process {server.pid}, works on {data};" in refused.stderr
    assert f"works on {data};" in server.command("serve", "--data", str(server.home / "other")).stderr
    other = make_server()
    refused = other.command("start", "--data", data)
    assert refused.returncode == 1
    assert f"process {server.pid}, works on {data};" in refused.stderr


def test_a_start_that_asks_for_other_than_what_runs_is_refused(make_server, tmp_path):
    server = make_server().start("--idle-hours", "5")
    port = server.base_url.split(":")[2].split("/")[0]
    data = str(server.home / "local" / "data")
    (tmp_path / "link").symlink_to(data)
    same = ["--port", port, "--idle-hours", "5.0", "--data"]
    for data_of_it in (data, tmp_path / "link"):
        assert server.command("start", *same, str(data_of_it)).returncode == 0
    assert server.command("start", "--port", "0").returncode == 0
    for option, value, has in [
        ("--data", tmp_path / "other", data),
        ("--port", int(port) - 1, port),
        ("--idle-hours", 4, 5.0),
    ]:
        refused = server.command("start", option, str(value))
        assert refused.returncode == 1
        assert f"a server runs already, process {server.pid}, with {option} {has}; to have it" in refused.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["prune", "--days", "-1"], "0 or more"),
        (["prune", "--days", "nan"], "0 or more"),
        (["prune", "--days", "inf"], "0 or more"),
        (["prune", "--days", "soon"], "0 or more"),
        (["prune", "--keep", "-1"], "0 or more"),
        (["prune", "--keep", "1.5"], "a whole number, 0 or more"),
        (["logs", "--lines", "-1"], "0 or more"),
        (["start", "--port", "99999"], "from 0 (any that is free) to 65535"),
        (["serve", "--port", "99999"], "from 0 (any that is free) to 65535"),
        (["start", "--idle-hours", "-1"], "0 or more"),
        (["start", "--idle-hours", "nan"], "0 or more"),
    ],
    ids=" ".join,
)
def test_numbers_that_are_none_are_refused(make_server, arguments, allowed):
    server = make_server()
    refused = server.command(*arguments)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].endswith(allowed)
    assert not (server.home / "local").exists()


_WRITING = """
import os, sys
import orchestra_magic.local.__main__ as command
def writes(event, said):
    if event in ("os.mkdir", "os.chmod", "os.remove") or (event == "open" and said[2] & (os.O_WRONLY | os.O_RDWR)):
        sys.exit(f"{event} {said}")
sys.addaudithook(writes)
sys.exit(command.main(sys.argv[1:]))
"""


def test_status_and_logs_write_nothing(restarted, make_server):
    command = [sys.executable, "-B", "-c", _WRITING]
    for server, runs in ((restarted, True), (make_server(ORCHESTRA_HOME="/proc/nowhere"), False)):
        for arguments in (["status"], ["logs"]):
            done = subprocess.run(
                [*command, *arguments], env=server.environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == (0 if runs or arguments == ["logs"] else 1), done.stderr
            assert "answers at" in done.stdout or not runs
            assert "no server runs" in done.stderr or runs or arguments == ["logs"]


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_nobody_else_can_read(local_server):
    local_server.finish("hello")
    home = local_server.home / "local"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) >= 8
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == {path.name: 0o600 for path in files}


def test_the_command_is_light():
    program = (
        "import sys, orchestra_magic.local.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'starlette', 'uvicorn', 'asyncio', 'requests'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_without_the_extra_one_line_says_what_to_install(make_server):
    program = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "import orchestra_magic.local.__main__ as m\n"
        "m.find_spec = lambda name: None if name == 'uvicorn' else find(name)\n"
        "sys.exit(m.main(['serve']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=make_server().environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "orchestra-local: uvicorn is missing: pip install 'orchestra-magic[local]'\n"


def test_the_server_imports_nothing_of_the_client():
    program = (
        "import sys, orchestra_magic.local.server\n"
        "print([m for m in sys.modules if m.startswith('orchestra_magic.') "
        "and m.split('.')[1] in ('client', 'views', 'notebook', 'errors')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_data_of_a_newer_version_and_damaged_data_are_left_alone(make_server):
    server = make_server()
    path = server.home / "local" / "data" / "orchestra.sqlite"
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    refused = server.command("start")
    assert refused.returncode == 1
    assert "written by a newer version" in refused.stderr
    damaged = b"not a database at all" * 500
    for name in ("orchestra.sqlite", "orchestra.sqlite-wal", "orchestra.sqlite-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(damaged)
    refused = server.command("start")
    assert refused.returncode == 1
    assert "is no database that can be read" in refused.stderr
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("begin", [0, 4096], ids=["all", "all but the header"])
def test_damaged_files_are_left_alone(make_server, begin):
    server = make_server().start()
    run = server.finish("hello", {"name": "Ada"})
    server.stop()
    data = server.home / "local" / "data"
    whole = {path.name: path.read_bytes() for path in data.glob("*.sqlite*")}
    path = data / "orchestra.sqlite"
    damaged = whole[path.name][:begin] + bytes([0xA5]) * (len(whole[path.name]) - begin)
    assert len(damaged) > 8192
    path.write_bytes(damaged)
    refused = server.command("start")
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert f"{path} is no database that can be read" in line
    assert "Put back a copy" in line
    assert path.read_bytes() == damaged
    for one, content in whole.items():
        (data / one).write_bytes(content)
    server.start()
    assert server.run("hello", run["id"], wait=0) == run


def test_stopping_lets_those_who_wait_go(restarted):
    server = restarted
    run_id = server.execute("countdown", {"seconds": 30})
    path = f"{server.base_url}/workflows/{server.id_of('countdown')}/runs/{run_id}"
    waiting = subprocess.Popen(
        [sys.executable, "-c", _ASK, path, server.token], stdout=subprocess.PIPE, text=True, env=server.environment
    )
    assert waiting.stdout.readline() == "asking\n"
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    assert '"status":"running"' in waiting.communicate(timeout=10)[0]


def test_old_runs_go_when_asked(make_server):
    server = make_server().start()
    ids = [server.finish("hello", {"name": str(n)})["id"] for n in range(4)]
    running = server.execute("countdown", {"seconds": 20})
    assert server.command("prune").returncode == 1
    assert server.command("prune", "--days", "1").stdout == "deleted 0 runs\n"
    assert server.command("prune", "--keep", "2").stdout == "deleted 2 runs\n"
    path = f"/workflows/{server.id_of('hello')}/runs"
    assert [run["id"] for run in server.get(path)] == [ids[3], ids[2]]
    assert server.request("GET", f"{path}/{ids[0]}/steps").status_code == 404
    assert server.command("prune", "--days", "0").stdout == "deleted 2 runs\n"
    assert server.get(path) == []
    assert server.run("countdown", running, wait=0)["status"] == "running"
    server.request("POST", f"/workflows/{server.id_of('countdown')}/runs/{running}/cancel")


def test_a_server_that_nobody_uses_stops(make_server):
    server = make_server().start("--idle-hours", str(1.0 / 3600))
    # a run keeps it up, although nobody asks
    run_id = server.execute("countdown", {"seconds": 1.5})
    lock = server.home / "local" / "server.lock"
    began = time.monotonic()
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    assert time.monotonic() - began > 1.4
    server.start()
    assert server.run("countdown", run_id, wait=0)["status"] == "completed"


def test_the_log_says_how_many_runs_are_taken_up_again(make_server):
    server = make_server().start()
    assert "taken up again" not in server.command("logs").stdout
    ids = [server.execute("countdown", {"seconds": 60}) for _ in range(2)]
    server.kill()
    server.start()
    assert server.command("logs").stdout.count("runs that are taken up again: 2\n") == 1
    for run_id in ids:
        server.request("POST", f"/workflows/{server.id_of('countdown')}/runs/{run_id}/cancel")


def test_who_only_asks_for_the_status_keeps_no_server_up(make_server):
    server = make_server().start("--idle-hours", str(1.0 / 3600))
    url = server.base_url.removesuffix("/api/v1/workflow") + "/status"
    began = time.monotonic()
    while server.running():
        assert time.monotonic() - began < 60
        with contextlib.suppress(requests.ConnectionError):  # of the moment in which it stops
            server.http.get(url, timeout=5)
        time.sleep(0.05)


_ASK = """
import sys, urllib.request
headers = {"Authorization": f"Bearer {sys.argv[2]}", "Prefer": "wait=50"}
urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers={"Authorization": headers["Authorization"]})).read()
print("asking", flush=True)
print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers)).read().decode())
"""
