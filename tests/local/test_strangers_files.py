"""The files of the server are its owner's alone, and no link leads away from them."""

import logging
import os
import stat
import subprocess
import sys

import pytest

from orchestra_magic.local import files
from orchestra_magic.local.private import LinkError, PrivateLog, open_private

from .embedded import LocalServer

SECRET = "somebody else's\n"
FILES = [
    *("local/server.json", "local/server.log", "local/server.lock", "local/start.lock", "local/crash.log"),
    *("local/identity.json", "local/data/lock", "local/data/orchestra.sqlite"),
    *("local/data/orchestra.sqlite-wal", "local/data/knowledge/notes.sqlite"),
]


def modes(home):
    found = [home, *home.rglob("*")]
    return {path: (path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in found}


@pytest.mark.parametrize("umask", ["000", "022", "777"])
def test_modes_under_any_umask(umask, tmp_path):
    server = LocalServer(tmp_path / "new" / "home")
    start = [sys.executable, "-m", "orchestra_magic.local", "start", "--json"]
    command = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *start]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    server.read()
    assert server.finish("hello")["status"] == "completed"
    server.request("POST", "/knowledge_bases", json={"name": "notes"})
    server.request("POST", "/knowledge_bases/notes/documents", json={"name": "a", "text": "some words"})
    found = modes(tmp_path / "new")
    assert {mode for is_folder, mode in found.values() if is_folder} == {0o700}
    assert {mode for is_folder, mode in found.values() if not is_folder} == {0o600}
    names = {str(path.relative_to(server.home)) for path in found if path != tmp_path / "new"}
    assert names >= set(FILES)
    server.close()


def test_a_new_log_is_private_too(tmp_path):
    before = os.umask(0)
    try:
        handler = PrivateLog(tmp_path / "server.log", maxBytes=1, backupCount=2)
        for n in range(4):
            handler.emit(logging.LogRecord("x", logging.INFO, "x", 1, f"line {n}", (), None))
        handler.close()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600] * 3


def test_what_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "old"
    path.write_text("")
    path.chmod(0o644)
    os.close(open_private(path, os.O_RDWR))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "dangling"),
    [*((name, False) for name in FILES), ("local/data/orchestra.sqlite", True), ("local/server.log", True)],
)
def test_a_link_is_refused_and_its_target_untouched(name, dangling, tmp_path):
    target = tmp_path / "target"
    if not dangling:
        target.write_text(SECRET)
        target.chmod(0o644)
    server = LocalServer(tmp_path / "home")
    link = server.home / name
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    done = server.command("start")
    assert done.returncode == 1
    assert f"{link} is a symbolic link, which is not followed" in done.stderr
    assert "Traceback" not in done.stderr
    assert target.exists() != dangling
    if not dangling:
        assert target.read_text() == SECRET
        assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_once_the_link_is_gone_it_starts(make_server, tmp_path):
    server = make_server()
    link = server.home / "local" / "server.log"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "target")
    assert server.command("start").returncode == 1
    link.unlink()
    server.start()
    assert server.running()


def test_a_link_that_comes_later_is_not_followed(tmp_path):
    server = LocalServer(tmp_path / "home").start()
    target = tmp_path / "target"
    target.write_text(SECRET)
    (server.home / "local" / "data" / "knowledge").mkdir(mode=0o700, exist_ok=True)
    link = server.home / "local" / "data" / "knowledge" / "notes.sqlite"
    link.symlink_to(target)
    answer = server.request("POST", "/knowledge_bases", json={"name": "notes"})
    assert answer.status_code >= 500
    assert "is a symbolic link" in answer.text
    assert server.request("GET", "/knowledge_bases/notes").status_code >= 500
    assert target.read_text() == SECRET
    server.stop()


def test_writing_a_file_that_is_a_link_replaces_the_link(tmp_path):
    (tmp_path / "target").write_text(SECRET)
    for name in ("server.json", f"server.json.{os.getpid()}"):  # the second is what it is written to first
        (tmp_path / name).symlink_to(tmp_path / "target")
    files.write_json(tmp_path / "server.json", {"token": "ours"})
    assert (tmp_path / "target").read_text() == SECRET
    assert files.read_json(tmp_path / "server.json") == {"token": "ours"}
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_symlink()) == ["server.json", "target"]


def test_opening_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(LinkError, match="link is a symbolic link"):
        open_private(tmp_path / "link", os.O_WRONLY)
    assert not (tmp_path / "target").exists()
