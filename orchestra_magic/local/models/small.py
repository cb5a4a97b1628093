"""The small model as an endpoint of model nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..values import dumps
from ..web import Answer, WebError
from .adding import lacks
from .catalog import DEMO_QUALITY, SMOLLM2
from .process import ModelProcess, ModelProcessError

_CHAT = f"{__package__}.chat"
MOST_TOKENS = 512
"""It writes no more: where it repeats itself, it would until the end of its context."""
_TAKEN = (
    *("model", "messages", "stream", "n", "seed", "stop", "temperature", "top_p", "top_k", "min_p", "typical_p"),
    *("repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("logprobs", "top_logprobs", "response_format", "json_schema", "grammar"),
)
"""What llama.cpp does with this model; it passes over everything else without a word."""
_LIMITS = ("max_completion_tokens", "max_tokens")


class SmallModel:
    """Answers chat completions on this computer; see :class:`~..endpoints.Endpoint`."""

    base_url = f"{SMOLLM2.name} on this computer"

    def __init__(self) -> None:
        self._process = ModelProcess(_CHAT, str(SMOLLM2.path))

    @staticmethod
    def unusable() -> str | None:
        """Return why it cannot be asked, None where it can."""
        return lacks() if SMOLLM2.added else f"it was not added: orchestra-local models add {SMOLLM2.name}"

    async def complete(self, call: Mapping[str, Any], seconds: float) -> Answer:
        """Return the answer to ``call``. Who asks waits for those who asked before."""
        sent, _ = fitted(call)
        try:
            answer = await asyncio.wait_for(self._process.ask({"call": sent}), seconds)
        except asyncio.TimeoutError:
            raise WebError(f"no answer within {seconds:g} s") from None
        except ModelProcessError as error:
            raise WebError(str(error)) from None
        body = answer["body"]
        if "choices" in body:
            # Who reads the raw completion sees what spoke.
            body["model"] = f"{SMOLLM2.title} ({DEMO_QUALITY})"
        return Answer(int(answer["status"]), {}, dumps(body).encode())

    def hide(self, message: str) -> str:
        """Return ``message``: there is no key to hide."""
        return message

    def model(self, _asked: str) -> str:
        """Return its name, whatever a graph asks for."""
        return SMOLLM2.title

    def notes(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the step says of it, and of what becomes of ``call``."""
        return {"quality": DEMO_QUALITY, **fitted(call)[1]}

    async def close(self) -> None:
        """End its process."""
        await self._process.close()


def fitted(call: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``call`` as llama.cpp takes it, and what the step says of that."""
    sent = {name: value for name, value in call.items() if name in _TAKEN}
    notes: dict[str, Any] = {}
    # Orchestra writes 0 for none.
    if call.get("repetition_penalty"):
        sent["repeat_penalty"] = call["repetition_penalty"]
        notes["renamed"] = {"repetition_penalty": "repeat_penalty"}
    limit, asked = next(((name, call[name]) for name in _LIMITS if call.get(name) is not None), ("", MOST_TOKENS))
    if isinstance(asked, int | float) and not 0 < asked <= MOST_TOKENS:
        asked = MOST_TOKENS
        notes["lowered"] = {limit: asked}
    sent["max_tokens"] = asked
    left_out = sorted(call.keys() - {*_TAKEN, *_LIMITS, *notes.get("renamed", ())})
    return sent, notes | ({"left_out": left_out} if left_out else {})
