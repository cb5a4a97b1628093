"""A request that was not sent: what ``--dry-run`` shows."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from . import embedded, settings
from .api import Request

_NOT_RUNNING = "http://127.0.0.1:PORT/api/v1/workflow"


@dataclass(frozen=True)
class Preview:
    """The exact request that would start a run, with the key masked.

    Attributes
    ----------
    request : Request
    base_url : str
    notes : tuple of str
        What would be done first, or is not known yet.
    """

    request: Request
    base_url: str
    notes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The whole address."""
        return self.base_url + self.request.path

    @property
    def body(self) -> str:
        """The body as it would go over the wire."""
        return (self.request.payload or b"").decode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say something, the key masked."""
        return {"Authorization": "Bearer ********", "Content-Type": "application/json", **self.request.headers}

    @property
    def curl(self) -> str:
        """A line for a shell, which takes the key from the environment."""
        told = {name: value for name, value in self.headers.items() if name != "Authorization"}
        words = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in told.items()]
        key = f'-H "Authorization: Bearer ${settings.chosen.api_key_env}"'
        sent = f"--data-binary {shlex.quote(self.body)}"
        return " ".join(["curl", "-X", self.request.method, shlex.quote(self.url), key, *words, sent])

    def __repr__(self) -> str:
        from ..views import preview  # drawn only when looked at

        return preview.text(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from ..views import preview

        return {"text/plain": preview.text(self), "text/html": preview.html(self)}


def preview(request: Request, base_url: str, *notes: str) -> Preview:
    """Return what would be sent to ``base_url``, without starting or asking any server."""
    if base_url != settings.LOCAL:
        return Preview(request, base_url, notes)
    server = embedded.find()
    if server is None:
        return Preview(request, _NOT_RUNNING, (*notes, "The embedded Orchestra would be started first."))
    name = settings.chosen.api_key_env
    return Preview(request, server.base_url, (*notes, f"In a shell, first: export {name}=$(orchestra-local token)"))
