"""The page on integrations: its package is made, installed and run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripted import Reply, Scripted

from .embedded import LocalServer

PAGE = Path(__file__).parents[2] / "notebooks" / "integrations.md"
FILES = dict(re.findall(r"\*\*`(.+?)`\*\*\n\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
HOOK = "/hooks/planted-0123456789"


@pytest.fixture(scope="module")
def chat():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture(scope="module")
def server(chat, tmp_path_factory):
    """A server beside which the package of the page is installed."""
    folder = tmp_path_factory.mktemp("page")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    [install] = re.findall(r"pip install (\S+)", PAGE.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", "site", install], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    environment = {"PYTHONPATH": str(folder / "site"), "ORCHESTRA_SECRET_CHAT_WEBHOOK": chat.base_url + HOOK}
    running = LocalServer(tmp_path_factory.mktemp("chatting"), **environment).start()
    yield running
    running.close()


def announce(server, chat, *replies):
    chat.said.clear()
    chat.on("POST", HOOK, *replies)
    workflow = server.upload(yaml.safe_load(FILES["announce.yaml"]), name="announce")
    run = server.finish(workflow, {"winner": 'Ada "the" Lovelace'})
    [step] = server.steps(workflow, run["id"])
    assert HOOK not in str([run, step])
    return run, step


def test_what_is_said_arrives(server, chat):
    run, _ = announce(server, chat, Reply(body=b"ok"))
    [said] = chat.said
    assert said.json == {"text": 'And the winner is Ada "the" Lovelace.'}
    assert said.headers["Idempotency-Key"] == f"{run['id']}:say"
    assert (run["status"], run["outputs"]["data"]) == ("completed", {"results": "ok", "error": ""})


def test_a_chat_that_is_busy_is_asked_again(server, chat):
    run, _ = announce(server, chat, Reply(429), Reply(body=b"ok"))
    assert (run["status"], len(chat.said)) == ("completed", 2)


def test_a_chat_that_refuses_is_data(server, chat):
    run, step = announce(server, chat, Reply(404, body=f"no hook {chat.base_url}{HOOK}".encode()))
    assert (run["status"], step["status"]) == ("completed", "failed")
    assert step["error"] == "the chat answered 404: no hook ***"


def test_a_fault_of_the_upload(server):
    graph = yaml.safe_load(FILES["announce.yaml"])
    graph["nodes"]["say"]["metadata"]["text"] = " "
    response = server.request("POST", "/workflows", json=graph)
    assert response.json()["detail"] == [
        {"node": "say", "field": "text", "message": "chat_message needs a text to say"}
    ]
