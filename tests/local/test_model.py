"""Model nodes, against an endpoint on loopback whose answers the test decides."""

import asyncio
import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestra_magic.local import endpoints
from orchestra_magic.local.endpoints import NoEndpointError
from orchestra_magic.local.nodes import TYPES, Call, Node, NodeError, Services
from orchestra_magic.local.nodes.base import wait_asked
from orchestra_magic.local.web import Answer

from .graphs import graph

KEY = "sk-planted-0123456789"


class Endpoint:
    """Answers chat completions by a function of the request; keeps what it was sent."""

    def __init__(self):
        self.calls, self.headers, self.answers = [], [], []
        self.models = [{"id": "small"}, {"id": "large"}]
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.calls.append(call)
                endpoint.headers.append(dict(self.headers))
                status, body, headers = endpoint.answer(call)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def do_GET(self):
                self.send_response(200 if self.path == "/v1/models" else 404)
                self.end_headers()
                self.wfile.write(json.dumps({"data": endpoint.models}).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, call):
        if self.answers:
            status, body, *headers = self.answers.pop(0)
            return status, body, *(headers or [{}])
        text = f"{call['model']} heard: {call['messages'][-1]['content']}"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        return (
            200,
            {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"message": message}], "usage": usage},
            {},
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    from .embedded import LocalServer

    endpoint = Endpoint()
    home = tmp_path_factory.mktemp("models")
    server = LocalServer(home, ORCHESTRA_MODEL_BASE_URL=endpoint.url, ORCHESTRA_MODEL_API_KEY=KEY).start()
    yield endpoint, server
    server.close()
    endpoint.server.shutdown()


@pytest.fixture
def endpoint(running):
    running[0].calls.clear()
    running[0].headers.clear()
    running[0].answers.clear()
    return running[0]


@pytest.fixture
def server(running):
    return running[1]


def test_a_prompt_goes_out_and_its_text_comes_back(endpoint, server):
    run = server.finish("say-hi", {"prompt": "hi {{prompt}}"})
    assert run["outputs"] == "virtuoso-large heard: hi {{prompt}}"
    [call] = endpoint.calls
    assert call == {
        "model": "virtuoso-large",
        "stream": False,
        "max_tokens": 8192,
        "temperature": 0.7,
        "top_p": 1,
        "top_k": 50,
        "repetition_penalty": 0,
        "messages": [{"role": "user", "content": "hi {{prompt}}"}],
    }
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    [step] = server.steps("say-hi", run["id"])
    assert step["outputs"]["choices"][0]["message"]["content"] == run["outputs"]
    assert step["inputs"] == {**call, "run_id": run["id"], "input_data": {"prompt": "hi {{prompt}}"}}
    assert step["tokens"] == 7


def test_the_key_stands_nowhere(endpoint, server):
    echoed = {"choices": [{"message": {"content": f"your key is {KEY}"}}]}
    endpoint.answers = [(401, {"error": {"message": f"bad key {KEY}"}}), (200, echoed)]
    run = server.finish("say-hi")
    assert "answered 401" in run["error"]
    again = server.finish("say-hi")
    assert again["outputs"] == "your key is ***"
    steps = server.steps("say-hi", run["id"]) + server.steps("say-hi", again["id"])
    assert KEY not in json.dumps([run, again, steps, server.get("/workflows")])
    stored = b"".join(path.read_bytes() for path in (server.home / "local").rglob("*") if path.is_file())
    assert KEY.encode() not in stored
    assert len(endpoint.calls) == 2


def ask(server, model, **metadata):
    """Ask one question; return the run and its step."""
    messages = [{"role": "user", "content": "hi"}]
    node = {"type": "model", "metadata": {"model": model, "messages": messages, **metadata}}
    workflow = server.upload(graph({"ask": node}, "START ask", "ask END"), name="ask")
    run = server.finish(workflow)
    return run, server.steps(workflow, run["id"])[0]


def test_parameters_that_are_refused_by_name_are_left_out(endpoint, server):
    refusal = {"error": {"message": "Unrecognized request argument supplied: top_k, repetition_penalty"}}
    endpoint.answers = [(400, refusal)]
    # twice: what was refused is not tried again
    for calls in (2, 3):
        run, step = ask(server, "choosy", top_k=50, repetition_penalty=0, temperature=0.5)
        assert run["status"] == "completed"
        assert len(endpoint.calls) == calls
        assert "top_k" not in endpoint.calls[-1]
        assert endpoint.calls[-1]["temperature"] == 0.5
        assert step["step_metadata"]["left_out"] == ["repetition_penalty", "top_k"]
    # by another model of the same endpoint they may be known
    ask(server, "other", top_k=50)
    assert endpoint.calls[-1]["top_k"] == 50


def test_a_parameter_of_another_name_is_renamed(endpoint, server):
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    endpoint.answers = [(400, {"error": {"message": said, "param": "max_tokens"}})]
    run, step = ask(server, "thinking", max_tokens=99)
    assert run["status"] == "completed"
    assert "max_tokens" not in endpoint.calls[1]
    assert endpoint.calls[1]["max_completion_tokens"] == 99
    assert step["step_metadata"]["renamed"] == {"max_tokens": "max_completion_tokens"}
    assert "left_out" not in step["step_metadata"]


@pytest.mark.parametrize(
    "said",
    [
        "temperature must be between 0 and 2",
        {"type": "missing", "loc": ["body", "x"], "input": {"temperature": 9, "max_tokens": 5}},
    ],
)
def test_a_value_that_is_refused_is_an_error_and_not_left_out(endpoint, server, said):
    endpoint.answers = [(400, {"error": {"message": said}})]
    run, _ = ask(server, "strict-model", temperature=9, max_tokens=5)
    assert "answered 400" in run["error"]
    assert len(endpoint.calls) == 1


def test_faults_of_an_upload(server):
    metadata = {
        "model": 5,
        "messages": [],
        "temperature": "hot",
        "max_tokens": True,
        "top_p": "{{p}}",
        "api_key": "sk-1",
    }
    response = server.request(
        "POST", "/workflows", json=graph({"a": {"type": "model", "metadata": metadata}}, "START a", "a END")
    )
    found = {one["field"]: one["message"] for one in response.json()["detail"]}
    assert set(found) == {"model", "messages", "temperature", "max_tokens", "api_key"}
    assert found["temperature"] == "temperature is a number"
    assert "ORCHESTRA_MODEL_API_KEY" in found["api_key"]


@pytest.mark.parametrize("member", ["apikey", "access_token", "Authorization", "x-api-key", "headers", "extra_headers"])
def test_no_key_stands_in_a_graph(member):
    node = Node("ask", "model", {"model": "m", "messages": [{"role": "user", "content": ""}], member: "sk-1"})
    [(field, message)] = TYPES["model"].check(node, [])
    assert field == member
    assert message.startswith("a key does not stand in a graph")


def test_a_refusal_that_names_nothing_is_an_error(endpoint, server):
    endpoint.answers = [(400, {"error": {"message": "no such thing as virtuoso-large"}})]
    run = server.finish("say-hi")
    assert run["status"] == "failed"
    assert "no such thing as virtuoso-large" in run["error"]


def test_what_may_pass_is_tried_again(endpoint, server):
    endpoint.answers = [(503, b"busy"), (429, b"slow down", {"Retry-After": "2"})]
    began = time.monotonic()
    run = server.finish("say-hi")
    assert run["status"] == "completed"
    assert len(endpoint.calls) == 3
    assert time.monotonic() - began >= 2.4


def test_a_stream_is_not_asked_for_and_one_that_comes_is_no_completion(endpoint, server):
    run, step = ask(server, "streamed", stream=True)
    assert endpoint.calls[-1]["stream"] is step["inputs"]["stream"] is False
    endpoint.answers = [(200, b'data: {"choices": []}\n\ndata: [DONE]\n\n')]
    run, step = ask(server, "streamed", retries=0)
    assert "answered with something that is no chat completion: data:" in run["error"]


def test_every_parameter_goes_out_as_it_stands(endpoint, server):
    given = {
        "max_tokens": 64,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 5,
        "repetition_penalty": 1.1,
        "stop": ["."],
        "seed": 7,
        "response_format": {"type": "json_object"},
        "presence_penalty": None,
    }
    ask(server, "whole", **given)
    [call] = endpoint.calls
    del given["presence_penalty"]
    assert {name: call[name] for name in call.keys() - {"model", "messages", "stream"}} == given


def test_a_message_without_content_is_null_and_no_failure(endpoint, server):
    endpoint.answers = [(200, {"choices": [{"message": {"content": None, "tool_calls": [{"id": "1"}]}}]})]
    run, step = ask(server, "tools")
    assert (run["status"], run["all_outputs"]["ask"]) == ("completed", None)
    assert step["outputs"]["choices"][0]["message"]["tool_calls"] == [{"id": "1"}]
    assert step["tokens"] == 0


@pytest.mark.parametrize("count", [True, 7.5, "7", None])
def test_only_whole_numbers_count_as_tokens(endpoint, server, count):
    endpoint.answers = [(200, {"choices": [{"message": {"content": "hi"}}], "usage": {"total_tokens": count}})]
    _, step = ask(server, "counting")
    assert step["tokens"] == 0
    assert not isinstance(step["tokens"], bool)


@pytest.mark.parametrize("key", ["sk-planted-0123\n456789", "sk-planted-0123知456789"])
def test_a_key_that_no_header_can_hold_stands_in_no_error(endpoint, monkeypatch, key):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", endpoint.url)
    monkeypatch.setenv("ORCHESTRA_MODEL_API_KEY", key)
    node = Node("ask", "model", {"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    call = Call(node, "run", node.name, {}, services=Services(sandbox=None, knowledge=None))
    kind = TYPES["model"]
    with pytest.raises(NodeError, match="a header holds what none can") as caught:
        asyncio.run(kind.run(kind.inputs(call), call))
    assert "0123" not in str(caught.value)
    assert not caught.value.transient


def test_both_forms_of_the_wait_that_is_asked_for():
    def asked(said):
        return wait_asked(Answer(429, {"retry-after": said} if said else {}, b""))

    assert asked("7") == 7
    assert 50 < asked(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert asked(formatdate(0, usegmt=True)) == 0
    assert asked("soon") is asked("") is asked("²") is None


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_answer_is_called_so(endpoint, server, body):
    endpoint.answers = [(200, body)]
    assert server.finish("say-hi")["error"].endswith("/v1 answered 200: the answer is empty")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"", b'{"choices": 1}'])
def test_an_answer_that_is_no_completion(endpoint, server, body):
    endpoint.answers = [(200, body)]
    run = server.finish("say-hi")
    assert run["status"] == "failed"
    assert run["error"].startswith("model_1: http://127.0.0.1")


def test_a_redirect_is_not_followed(endpoint, server):
    endpoint.answers = [(302, b"", {"Location": endpoint.url + "/chat/completions"})]
    run = server.finish("say-hi")
    assert "answered 302" in run["error"]
    assert len(endpoint.calls) == 1


@pytest.fixture
def found(endpoint, monkeypatch):
    """No endpoint is set, and a model server runs on one of the usual ports."""
    monkeypatch.setattr(endpoints, "LOCAL", {"none": "http://127.0.0.1:1/v1", "some": endpoint.url})
    monkeypatch.setattr(endpoint, "models", endpoint.models)
    return endpoint


def test_a_local_server_is_found_and_said(found, monkeypatch):
    chosen = asyncio.run(endpoints.find())
    assert (chosen.base_url, chosen.key, chosen.models) == (found.url, None, ["small", "large"])
    assert chosen.model("small") == "small"
    with pytest.raises(NoEndpointError, match="has no 'virtuoso-large'; it has: small, large"):
        chosen.model("virtuoso-large")
    monkeypatch.setenv("ORCHESTRA_MODEL_NAME", "large")
    assert chosen.model("virtuoso-large") == "large"


def test_the_tag_of_the_latest_may_be_left_out(found):
    found.models = [{"id": "llama3.2:latest"}, {"id": "qwen3:4b"}]
    chosen = asyncio.run(endpoints.find())
    assert [chosen.model(name) for name in ("llama3.2", "llama3.2:latest")] == ["llama3.2", "llama3.2:latest"]
    with pytest.raises(NoEndpointError, match="has no 'qwen3'"):
        chosen.model("qwen3")


def test_llama_cpp_answers_with_its_one_model(found):
    found.models = [{"id": "/models/x.gguf", "owned_by": "llamacpp"}]
    assert asyncio.run(endpoints.find()).model("virtuoso-large") == "/models/x.gguf"
    found.models.append({"id": "/models/y.gguf", "owned_by": "llamacpp"})
    with pytest.raises(NoEndpointError, match="has no 'virtuoso-large'"):
        asyncio.run(endpoints.find()).model("virtuoso-large")


@pytest.mark.parametrize("models", [[], None])
def test_a_server_without_models_is_passed_over(found, models):
    found.models = models
    with pytest.raises(NoEndpointError, match=f"with a model in it, which the one at {found.url} has not"):
        asyncio.run(endpoints.find())


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("conductor", "https://models.arcee.ai/v1"),
        ("Ollama", "http://127.0.0.1:11434/v1"),
        ("http://a/v1/", "http://a/v1"),
    ],
)
def test_what_is_set_comes_first(found, monkeypatch, said, url):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", said)
    monkeypatch.setenv("ORCHESTRA_MODEL_API_KEY", KEY)
    chosen = asyncio.run(endpoints.find())
    assert (chosen.base_url, chosen.key, chosen.models) == (url, KEY, None)
    assert KEY not in repr(chosen)


@pytest.mark.parametrize("said", ["http://bob:s3cret@host/v1", "bob:s3cret@host/v1", "https://host/v1?api-key=s3cret"])
def test_no_key_stands_in_the_address(monkeypatch, said):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", said)
    with pytest.raises(NoEndpointError, match="and with the key in ORCHESTRA_MODEL_API_KEY") as caught:
        asyncio.run(endpoints.find())
    assert "s3cret" not in str(caught.value)


def test_a_word_that_is_no_preset_is_refused_and_the_presets_named(monkeypatch):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", "openai")
    with pytest.raises(NoEndpointError, match="is 'openai'; it can be an address .* or one of: conductor, ollama"):
        asyncio.run(endpoints.find())


def test_nothing_is_looked_for_where_none_is_wanted(found, monkeypatch):
    monkeypatch.setenv("ORCHESTRA_MODEL_BASE_URL", "none")
    with pytest.raises(NoEndpointError, match="ORCHESTRA_MODEL_BASE_URL"):
        asyncio.run(endpoints.find())


@pytest.mark.parametrize(
    ("content", "value", "sent"),
    [
        ("{{x}}", [{"a": 1}], '[{"a": 1}]'),
        ("{{x}}", {"type": "text"}, '{"type": "text"}'),
        ("{{x}}", 5, "5"),
        ("{{x}}", True, "true"),
        ("{{x}}", None, ""),
        ("{{x}}", [], "[]"),
        (None, 5, None),
        (
            "{{x}}",
            [{"type": "text", "text": "hi"}, {"type": "image_url"}],
            [{"type": "text", "text": "hi"}, {"type": "image_url"}],
        ),
        ([{"type": "text", "text": "{{x}}"}], 5, [{"type": "text", "text": "5"}]),
    ],
)
def test_the_content_of_a_message_is_text_or_parts(content, value, sent):
    node = Node("ask", "model", {"model": "m", "messages": [{"role": "user", "content": content}]})
    inputs = TYPES["model"].inputs(Call(node, "run", "ask", {"x": value}, services=None))
    assert inputs["messages"] == [{"role": "user", "content": sent}]


def test_a_system_message_that_comes_out_empty_is_left_out():
    messages = [{"role": "system", "content": "{{x}}"}, {"role": "assistant", "tool_calls": []}]
    call = Call(Node("ask", "model", {"model": "m", "messages": messages}), "run", "ask", {"x": None}, services=None)
    assert TYPES["model"].inputs(call)["messages"] == messages[1:]


def test_templates_take_earlier_outputs(endpoint, server):
    def model(text, **more):
        return {"type": "model", "metadata": {"model": "m", "messages": [{"role": "user", "content": text}], **more}}

    nodes = {
        "one": model("say {{topic}}"),
        "two": model("repeat: {{one}}", output_mapping={"said": "choices[0].message.content"}),
    }
    workflow = server.upload(graph(nodes, "START one", "one two", "two END", selectedOutput="two"))
    run = server.finish(workflow, {"topic": "owls"})
    assert run["outputs"] == "m heard: repeat: m heard: say owls"
    assert set(run["all_outputs"]) == {"topic", "one", "said"}
