"""What endpoints say of parameters that they do not know, and of values that they do not take."""

import json

import pytest

from orchestra_magic.local.nodes.refusals import Refusals
from orchestra_magic.local.web import Answer

CALL = {
    "model": "m",
    "stream": False,
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 5,
    "temperature": 5,
    "top_p": 1,
    "top_k": 50,
    "repetition_penalty": 1.1,
    "presence_penalty": 0,
    "stop": ["a"],
    "seed": 3,
    "n": 1,
    "user": "u",
    "logprobs": True,
    "tools": [],
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
}


def left_out(said, call=CALL):
    """Return which parameters of ``call`` are left out after an answer of status 400."""
    refusals = Refusals()
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    learnt = refusals.learn("endpoint", call, Answer(400, {}, body))
    sent, notes = refusals.apply("endpoint", call)
    found = sorted(call.keys() - sent.keys())
    assert learnt == bool(found)
    assert found == sorted([*notes.get("left_out", []), *notes.get("renamed", [])])
    return " ".join(found)


def error(message, **more):
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def extra(*loc, message="Extra inputs are not permitted"):
    return {"type": "extra_forbidden", "loc": ["body", *loc], "msg": message, "input": 50}


PYDANTIC_TEXT = (
    "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), 'msg': 'Extra inputs are not permitted', 'input': 1}]"
)
NIM = (
    "body -> seed\n  Extra inputs are not permitted (type=extra_forbidden)\nbody -> n\n  Extra inputs are not permitted"
)
SERDE = "Failed to deserialize: unknown field `top_k`, expected one of `model`, `messages`, `temperature` at line 1"
GEMINI = 'Invalid JSON payload received. Unknown name "top_k": Cannot find field.'
AZURE = "Extra parameters ['top_k'] are not allowed when extra-parameters is not set or set to be 'error'."
LITELLM = "litellm.UnsupportedParamsError: openai does not support parameters: ['top_k', 'seed'], for model=gpt-4o."
BEDROCK = 'The model returned the following errors: {\\"message\\":\\"`temperature` is deprecated for this model.\\"}'
RENAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (error("Unrecognized request argument supplied: top_k"), "top_k"),
        (error("Unrecognized request arguments supplied: repetition_penalty, top_k"), "repetition_penalty top_k"),
        (error("Unknown parameter: 'top_k'.", param="top_k", code="unknown_parameter"), "top_k"),
        (error(RENAMED, param="max_tokens", code="unsupported_parameter"), "max_tokens"),
        ({"detail": "Unsupported parameter: top_p"}, "top_p"),
        ({"detail": [extra("top_k"), extra("seed", message="no")]}, "seed top_k"),
        ({"detail": [{"loc": ["body", "n"], "msg": "extra fields not permitted", "type": "value_error.extra"}]}, "n"),
        ({"object": "error", "message": {"detail": [extra("top_k")]}}, "top_k"),
        ({"object": "error", "message": json.dumps({"detail": [extra("top_k")]})}, "top_k"),
        ({"object": "error", "message": PYDANTIC_TEXT}, "top_k"),
        ({"detail": NIM}, "n seed"),
        (error("top_k: Extra inputs are not permitted"), "top_k"),
        (error("Extra inputs are not permitted, field: 'top_k', value: 5"), "top_k"),
        (error("Extra inputs are not permitted", param="top_k"), "top_k"),
        (error("no", param="top_k", code="unknown_parameter"), "top_k"),
        (error("property 'top_k' is unsupported"), "top_k"),
        (error("property 'repetition_penalty' is unsupported, did you mean 'presence_penalty'?"), "repetition_penalty"),
        ({"message": "body.top_k: property 'body.top_k' is unsupported", "param": "validation_error"}, "top_k"),
        (error(SERDE), "top_k"),
        ([{"error": {"code": 400, "message": GEMINI}}], "top_k"),
        (error(AZURE), "top_k"),
        (error(LITELLM), "seed top_k"),
        ({"message": BEDROCK}, "temperature"),
        (error("This model does not support logprobs."), "logprobs"),
        (error("Model grok does not support parameter stop"), "stop"),
        (error("tools is not supported in this model. For a list of models see https://example.com"), "tools"),
        (error("Additional properties are not allowed ('top_k', 'seed' were unexpected)"), "seed top_k"),
        (error("create() got an unexpected keyword argument 'top_k'"), "top_k"),
        (error("#: extraneous key [top_k] is not permitted, please reformat your input"), "top_k"),
        (b'json: unknown field "top_k"', "top_k"),
    ],
)
def test_a_parameter_that_is_not_known_is_left_out(said, names):
    assert left_out(said) == names


VALUE = "Unsupported value: 'tool_choice' does not support 'tools' with this model. Supported values are: 'none'."
JSON = (
    "Invalid parameter: messages must contain the word 'json' in some form, to use response_format of type json_object."
)
TOO_LONG = "This model's maximum context length is 4096 tokens. You requested 10005 tokens; max_tokens is too large"


@pytest.mark.parametrize(
    "said",
    [
        error("temperature must be between 0 and 2"),
        error("Invalid parameter: temperature must be between 0 and 2, got 5", param="temperature"),
        error("top_k must be 0 (disable), or at least 1, got -5."),
        error(JSON, param="messages"),
        error("Invalid parameter: 'response_format' of type 'json_object' is not supported with this model."),
        error(VALUE, param="tool_choice", code="unsupported_value"),
        error("Unsupported value: 'temperature' does not support 5 with this model."),
        error("Unsupported parameter value: temperature"),
        error(TOO_LONG),
        error("max_tokens is not allowed to be larger than 4096"),
        error("stop is not supported with more than 4 sequences"),
        error("this endpoint does not support n > 1"),
        error("tools is not supported when response_format is set"),
        error("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        error("Unknown parameter: 'response_format.json_schema.x'.", param="response_format.json_schema.x"),
        error("Unknown parameter: 'tools[0].seed'.", param="tools[0].seed"),
        error("Unknown model: seed"),
        {"detail": [extra("response_format", "seed"), extra("messages", 0, "user")]},
        {"detail": [{"type": "missing", "loc": ["body", "x"], "msg": "", "input": "Unknown parameter: 'seed'"}]},
        {"detail": [{"type": "less_than_equal", "loc": ["body", "temperature"], "msg": "at most 2", "input": 5}]},
        error("content policy: prompt 'stop using an unknown seed' not allowed"),
        error(None),
        [],
        b"",
        b"<html>",
    ],
)
def test_a_value_that_is_not_taken_is_no_refusal(said):
    assert left_out(said) == ""


@pytest.mark.parametrize("repeated", ["Why: Unknown parameter: 'seed'?", "It's\nUnknown parameter: 'seed'"])
def test_what_a_prompt_says_is_no_refusal(repeated):
    call = {**CALL, "messages": [{"role": "user", "content": [{"type": "text", "text": repeated}]}]}
    assert left_out(error(f"flagged: {repeated}"), call) == ""
    assert left_out(error(f"bad messages {call['messages']}"), call) == ""
    assert left_out(error("Unknown parameter: 'top_k'."), call) == "top_k"


def test_where_only_the_default_is_taken_other_values_are_tried():
    refusals = Refusals()
    said = error(
        "Unsupported value: 'temperature' does not support 5 with this model. Only the default (1) is supported."
    )
    assert refusals.learn("endpoint", CALL, Answer(400, {}, json.dumps(said).encode()))
    sent, notes = refusals.apply("endpoint", CALL)
    assert "temperature" not in sent
    assert notes == {"left_out": ["temperature"]}
    default = {**CALL, "temperature": 1}
    assert refusals.apply("endpoint", default) == (default, {})


def test_a_limit_that_the_graph_gives_by_its_new_name_stays():
    refusals = Refusals()
    call = {**CALL, "max_completion_tokens": 9}
    assert refusals.learn("endpoint", call, Answer(400, {}, json.dumps(error(RENAMED)).encode()))
    sent, notes = refusals.apply("endpoint", call)
    assert sent["max_completion_tokens"] == 9
    assert notes == {"left_out": ["max_tokens"]}


@pytest.mark.parametrize(
    "text", [b"a" * 10**6, b"'" * 10**6, b"a, " * 10**5, b"body -> " * 10**5, b"is unknown " * 10**5]
)
@pytest.mark.timeout(5)
def test_a_long_answer_is_read_in_no_time(text):
    left_out(text)
