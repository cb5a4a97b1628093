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
        tokens = call.get("max_tokens")
        most = min(tokens, MOST_TOKENS) if isinstance(tokens, int) and tokens > 0 else MOST_TOKENS
        question = {"call": {**call, "max_tokens": most}}
        try:
            answer = await asyncio.wait_for(self._process.ask(question), seconds)
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

    def notes(self) -> dict[str, Any]:
        """Return what the step says of it."""
        return {"quality": DEMO_QUALITY}

    async def close(self) -> None:
        """End its process."""
        await self._process.close()
