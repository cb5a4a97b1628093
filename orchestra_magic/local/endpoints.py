"""Where model nodes find their model: what was set, else a local server on its usual port, else the small model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import secrets
from .models.catalog import SMOLLM2
from .models.small import SmallModel
from .values import dumps, loads
from .web import Answer, WebError, fetch

URL, KEY, NAME = "ORCHESTRA_MODEL_BASE_URL", "ORCHESTRA_MODEL_API_KEY", "ORCHESTRA_MODEL_NAME"
LOCAL = {
    "ollama": "http://127.0.0.1:11434/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
}
PRESETS = {"conductor": "https://models.arcee.ai/v1", **LOCAL}
_LOOK_SECONDS = 1.0
_OK = 200
_SHOWN = 8
_LLAMACPP = "llamacpp"
"""Who owns the models of llama.cpp, which reads no name in a call where it has one model."""


class NoEndpointError(Exception):
    """There is no model to ask. The message names the ways to have one."""


class Endpoint(Protocol):
    """What answers chat completions."""

    @property
    def base_url(self) -> str:
        """Where it is, as a step shows it."""

    async def complete(self, call: Mapping[str, Any], seconds: float) -> Answer:
        """Send ``call`` and return the answer, in which no key stands."""

    def hide(self, message: str) -> str:
        """Return ``message`` without the key."""

    def model(self, asked: str) -> str:
        """Return the model to name in a call.

        Raises
        ------
        NoEndpointError
            If it is known not to have it.
        """

    def notes(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else the step says of it, and of what becomes of ``call``."""


@dataclass(frozen=True)
class Server:
    """A server of chat completions, asked over HTTP.

    Attributes
    ----------
    base_url : str
        Its address, up to and with ``/v1``.
    key : str or None
        What it is asked with.
    models : list of str or None
        What it has, where it was found rather than set.
    single : bool
        Whether it has one model, and answers with that whatever it is asked for.
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    models: list[str] | None = None
    single: bool = False

    async def complete(self, call: Mapping[str, Any], seconds: float) -> Answer:
        """Send ``call`` and return the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.base_url}/chat/completions"
        answer = await fetch("POST", url, headers=headers, body=dumps(call).encode(), timeout=seconds)
        return Answer(answer.status, answer.headers, secrets.hide(answer.body, [self.key]))

    def hide(self, message: str) -> str:
        """Return ``message`` without the key."""
        return message.replace(self.key, "***") if self.key else message

    def model(self, asked: str) -> str:
        """Return ``ORCHESTRA_MODEL_NAME``, else the model of the graph.

        Raises
        ------
        NoEndpointError
            If a server that was found is known not to have it.
        """
        name = os.environ.get(NAME, "").strip() or asked
        if self.models and self.single:
            return self.models[0]
        # Ollama lists every model with its tag, and takes the name without it for the latest.
        if self.models is not None and name not in self.models and f"{name}:latest" not in self.models:
            known = ", ".join(self.models[:_SHOWN]) or "none"
            raise NoEndpointError(
                f"the model server found at {self.base_url} has no {name!r}; it has: {known}. "
                f"Start the server with {NAME} set to one of these, or with {URL} set to another endpoint"
            )
        return name

    def notes(self, _call: Mapping[str, Any]) -> dict[str, Any]:
        """Return that it was found, where it was not set."""
        if self.models is None:
            return {}
        return {"found": "no endpoint was set: this one was found on its usual port, and the messages went to it"}


async def find(small: SmallModel | None = None) -> Endpoint:
    """Return the endpoint to use.

    ``ORCHESTRA_MODEL_BASE_URL`` is an address, the name of a preset, ``smollm2``, or ``none``; where it is not
    set, a server on the usual port of Ollama, LM Studio or llama.cpp on this computer is taken, if it has a model,
    and the step says so; else the small model, if it was added.

    Raises
    ------
    NoEndpointError
        If there is none.
    """
    chosen = os.environ.get(URL, "").strip()
    word = chosen.lower()
    if any(mark in chosen for mark in "@?#"):
        raise NoEndpointError(
            f"{URL} holds more than an address: start the server without the user, the password and the query in it, "
            f"and with the key in {KEY}"
        )
    if small is not None and word == SMOLLM2.name:
        return _usable(small)
    if chosen and word != "none":
        if word not in PRESETS and not word.startswith(("http://", "https://")):
            words = ", ".join((*PRESETS, SMOLLM2.name, "none"))
            raise NoEndpointError(f"{URL} is {chosen!r}; it can be an address (https://…/v1) or one of: {words}")
        return Server(PRESETS.get(word, chosen).rstrip("/"), await secrets.find(KEY))
    empty = ""
    for url in () if chosen else LOCAL.values():
        server = await _look(url)
        if server is not None and server.models:
            return server
        if server is not None:
            empty = f" with a model in it, which the one at {url} has not"
    if not chosen and small is not None and SMOLLM2.added:
        return _usable(small)
    raise NoEndpointError(
        f"there is no model to ask. There are three ways to have one: start a model server on this computer (Ollama, "
        f"LM Studio, llama.cpp){empty}; or start this server with {URL} set to the address of an OpenAI-compatible "
        f"endpoint or to one of {', '.join(PRESETS)}, and with its key, where it needs one, in {KEY}; or, for a first "
        f"try, orchestra-local models add {SMOLLM2.name}"
    )


def _usable(small: SmallModel) -> SmallModel:
    refusal = small.unusable()
    if refusal:
        raise NoEndpointError(f"{SMOLLM2.title} cannot be asked: {refusal}")
    return small


async def _look(url: str) -> Server | None:
    """Return the server of models at ``url``, None where there is none."""
    try:
        answer = await fetch("GET", f"{url}/models", timeout=_LOOK_SECONDS)
        if answer.status != _OK:
            return None
        found = loads(answer.body)["data"] or []  # Ollama without a model says null
        single = [one.get("owned_by") for one in found] == [_LLAMACPP]
        return Server(url, models=[str(one["id"]) for one in found], single=single)
    except (WebError, ValueError, KeyError, TypeError, AttributeError):
        return None
