"""The model node: one chat completion from any endpoint that speaks OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import references
from ..endpoints import Endpoint, NoEndpointError, find
from ..values import loads, plain
from ..web import Answer, WebError
from .base import Call, Node, NodeError, NodeType, Outcome

TEXT = "choices[0].message.content"
DEFAULT_TIMEOUT = 300.0
_OURS = ("description", "output_mapping", "timeout", "retries")
_NEEDED = ("model", "messages", "stream")
_REFUSED = (400, 422)
_LATER = (408, 425, 429)
_ERROR = 400
_SERVER_ERROR = 500
_SHOWN = 500


class ModelNode(NodeType):
    """``metadata: {"model", "messages", "temperature", …}``: every other member is a parameter of the call."""

    name = "model"
    retries = 2

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for a call that no endpoint can take."""
        del targets
        if not isinstance(node.metadata.get("model"), str):
            yield "model", "a model node needs the name of its model here"
        messages = node.metadata.get("messages")
        if not isinstance(messages, list) or not messages:
            yield "messages", "a model node needs a list of messages: role and content"
            return
        for number, message in enumerate(messages):
            if not (isinstance(message, Mapping) and isinstance(message.get("role"), str)):
                yield f"messages[{number}]", "a message is an object with role and content"

    def mapping(self, node: Node) -> dict[str, str]:
        """Return the variables of the node: the text of the answer, where nothing else is said."""
        return super().mapping(node) if node.metadata.get("output_mapping") else {node.name: TEXT}

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the call as it is sent. An empty system message is left out."""
        metadata = call.node.metadata
        given = {key: value for key, value in metadata.items() if key not in _OURS and value is not None}
        filled: dict[str, Any] = references.fill(given, call.scope)
        filled["messages"] = [
            message for message in filled["messages"] if message.get("content") or message["role"] != "system"
        ]
        filled["stream"] = False
        return filled

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Ask the endpoint. Parameters that it refuses by name are left out, and the step says which."""
        seconds = float(call.node.metadata.get("timeout") or DEFAULT_TIMEOUT)
        try:
            endpoint = await find()
            sent = {**inputs, "model": endpoint.model(inputs["model"])}
        except NoEndpointError as error:
            raise NodeError(str(error)) from None
        notes: dict[str, Any] = {"endpoint": endpoint.base_url}
        if endpoint.models is not None:
            notes["found"] = "no endpoint was set: this one was found on its usual port"
        if sent["model"] != inputs["model"]:
            notes["model"] = sent["model"]
        while True:
            try:
                answer = await endpoint.complete(sent, seconds)
            except WebError as error:
                reason = endpoint.hide(str(error))
                raise NodeError(f"{endpoint.base_url} gave no answer: {reason}", transient=True) from None
            refused = _refused(answer, sent)
            if not refused:
                break
            notes["left_out"] = sorted({*notes.get("left_out", ()), *refused})
            sent = {key: value for key, value in sent.items() if key not in refused}
        completion = _completion(endpoint, answer)
        usage = completion.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, Mapping) else 0
        return Outcome(completion, tokens=tokens if isinstance(tokens, int) else 0, notes=notes)


def _refused(answer: Answer, sent: Mapping[str, Any]) -> list[str]:
    """Return the parameters that a refusal names, those left out that a call cannot do without."""
    if answer.status not in _REFUSED:
        return []
    said = answer.body.decode("utf-8", "replace")
    return [name for name in sent if name not in _NEEDED and name in said]


def _completion(endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
    shown = endpoint.hide(answer.body[:_SHOWN].decode("utf-8", "replace").strip())
    if answer.status >= _ERROR or not answer.body:
        later = answer.status in _LATER or answer.status >= _SERVER_ERROR
        after = answer.headers.get("retry-after", "")
        wait = float(after) if after.isdigit() else None
        raise NodeError(f"{endpoint.base_url} answered {answer.status}: {shown}", transient=later, after=wait)
    try:
        completion = plain(loads(answer.body))
    except ValueError:
        completion = None
    if not isinstance(completion, dict) or not isinstance(completion.get("choices"), list):
        raise NodeError(f"{endpoint.base_url} answered with something that is no chat completion: {shown}")
    return completion
