"""The model node: one chat completion from any endpoint that speaks OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import references
from ..endpoints import KEY, Endpoint, NoEndpointError, find
from ..values import loads, plain, text
from ..web import Answer, WebError
from .base import Call, Node, NodeError, NodeType, Outcome, wait_asked
from .refusals import Refusals

TEXT = "choices[0].message.content"
DEFAULT_TIMEOUT = 300.0
_OURS = ("description", "output_mapping", "timeout", "retries")
_NUMBERS = ("max_tokens", "temperature", "top_p", "top_k", "repetition_penalty")
_KEYS = (
    *("key", "apikey", "xapikey", "token", "apitoken", "accesstoken", "authtoken", "secret", "password"),
    *("auth", "authorization", "headers", "extraheaders", "defaultheaders"),
)
_LATER = (408, 425, 429)
_ERROR = 400
_SERVER_ERROR = 500
_SHOWN = 500


class ModelNode(NodeType):
    """``metadata: {"model", "messages", "temperature", …}``: every other member is a parameter of the call."""

    name = "model"
    retries = 2

    def __init__(self) -> None:
        self._refusals = Refusals()

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for a call that no endpoint can take."""
        del targets
        if not isinstance(node.metadata.get("model"), str):
            yield "model", "a model node needs the name of its model here"
        for field in _NUMBERS:
            value = node.metadata.get(field)
            number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            if not number and not any(references.find(value)):
                yield field, f"{field} is a number"
        for field in node.metadata:
            if field.lower().replace("-", "").replace("_", "") in _KEYS:
                yield field, f"a key does not stand in a graph: start the server with it in {KEY}"
        messages = node.metadata.get("messages")
        if not isinstance(messages, list) or not messages:
            yield "messages", "a model node needs a list of messages: role and content"
            return
        for place, message in enumerate(messages):
            if not (isinstance(message, Mapping) and isinstance(message.get("role"), str)):
                yield f"messages[{place}]", "a message is an object with role and content"

    def mapping(self, node: Node) -> dict[str, str]:
        """Return the variables of the node: the text of the answer, where nothing else is said."""
        return super().mapping(node) if node.metadata.get("output_mapping") else {node.name: TEXT}

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the call as it is sent. An empty system message is left out."""
        metadata = call.node.metadata
        given = {key: value for key, value in metadata.items() if key not in _OURS and value is not None}
        filled: dict[str, Any] = references.fill(given, call.scope)
        messages = [
            _worded(message, before) for message, before in zip(filled["messages"], given["messages"], strict=True)
        ]
        filled["messages"] = [message for message in messages if message.get("content") or message["role"] != "system"]
        filled["stream"] = False
        return filled

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Ask the endpoint. Parameters that it refuses by name are left out, and the step says which."""
        seconds = float(call.node.metadata.get("timeout") or DEFAULT_TIMEOUT)
        try:
            endpoint = await find(call.services.small)
            asked = {**inputs, "model": endpoint.model(inputs["model"])}
        except NoEndpointError as error:
            raise NodeError(str(error)) from None
        notes: dict[str, Any] = {"endpoint": endpoint.base_url, **endpoint.notes(asked)}
        if asked["model"] != inputs["model"]:
            notes["model"] = asked["model"]
        while True:
            sent, changed = self._refusals.apply(endpoint.base_url, asked)
            try:
                answer = await endpoint.complete(sent, seconds)
            except WebError as error:
                reason = endpoint.hide(str(error))
                raise NodeError(f"{endpoint.base_url} gave no answer: {reason}", transient=not error.final) from None
            if not self._refusals.learn(endpoint.base_url, sent, answer):
                break
        completion = _completion(endpoint, answer)
        usage = completion.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, Mapping) else 0
        count = tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else 0
        return Outcome(completion, tokens=count, notes=notes | changed)


def _worded(message: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message whose content is text or a list of parts: no endpoint takes a table or a number."""
    content = message.get("content")
    if before.get("content") is None:  # as in a message that calls tools
        return message
    if isinstance(content, list) and content and all(isinstance(part, Mapping) and "type" in part for part in content):
        parts = [{**part, "text": text(part["text"])} if "text" in part else part for part in content]
        return {**message, "content": parts}
    return {**message, "content": text(content)}


def _completion(endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
    shown = endpoint.hide(answer.body[:_SHOWN].decode("utf-8", "replace").strip())
    if answer.status >= _ERROR or not shown:
        later = answer.status in _LATER or answer.status >= _SERVER_ERROR
        wait = wait_asked(answer)
        said = shown or "the answer is empty"
        raise NodeError(f"{endpoint.base_url} answered {answer.status}: {said}", transient=later, after=wait)
    try:
        completion = plain(loads(answer.body))
    except ValueError:
        completion = None
    if not isinstance(completion, dict) or not isinstance(completion.get("choices"), list):
        raise NodeError(f"{endpoint.base_url} answered with something that is no chat completion: {shown}")
    return completion
