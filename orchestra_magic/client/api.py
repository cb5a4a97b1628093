"""The routes: one pure builder each.

A builder gives a :class:`Request`, which says everything but the server and the key: a dry run is a request
that was not sent. :func:`orchestra_magic.client.transport.send` sends it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import OrchestraUsageError


@dataclass(frozen=True)
class Request:
    """One call of the API, apart from server and key.

    Attributes
    ----------
    method, path : str
        ``path`` is under the base URL, quoted, and begins with a slash.
    body : Mapping or None
        What goes as JSON.
    headers : Mapping[str, str]
        Headers beside those that every request has.
    patience : float
        Seconds that the server was asked to hold the answer.
    follows : bool
        Whether it only looks at runs: not worth starting a server that was stopped on purpose.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    follows: bool = False

    @property
    def starts_a_run(self) -> bool:
        """Whether a lost answer may have cost something: such a request is never sent twice."""
        return self.path.endswith("/execute")

    @property
    def payload(self) -> bytes | None:
        """The body as it goes over the wire."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def workflows() -> Request:
    """``GET /workflows``: all workflows, each with its whole graph."""
    return Request("GET", "/workflows")


def workflow(workflow_id: str) -> Request:
    """``GET /workflows/{id}``: one workflow. Not every server has this route."""
    return Request("GET", _path(workflow_id))


def execute(workflow_id: str, inputs: Mapping[str, Any], *, idempotency_key: str) -> Request:
    """``POST /workflows/{id}/execute``: start a run with ``inputs`` as the flat body."""
    headers = {"Idempotency-Key": idempotency_key}
    return Request("POST", _path(workflow_id, "execute"), inputs, headers)


def run(workflow_id: str, run_id: str, *, wait: float = 0.0, etag: str | None = None) -> Request:
    """``GET …/runs/{run_id}``; with ``wait`` and ``etag`` a server that can answers when something changes."""
    path = _path(workflow_id, "runs", run_id)
    if not wait or etag is None:
        return Request("GET", path, follows=True)
    headers = {"Prefer": f"wait={wait:g}", "If-None-Match": etag}
    return Request("GET", path, None, headers, wait, follows=True)


def steps(workflow_id: str, run_id: str) -> Request:
    """``GET …/runs/{run_id}/steps``: the nodes that ran, in no order."""
    return Request("GET", _path(workflow_id, "runs", run_id, "steps"), follows=True)


def history(workflow_id: str, *, limit: int = 100, offset: int = 0) -> Request:
    """``GET …/runs``: runs of one workflow, newest first."""
    query = urlencode({"limit": limit, "offset": offset})
    return Request("GET", _path(workflow_id, "runs") + "?" + query, follows=True)


def diagram(workflow_id: str) -> Request:
    """``GET …/diagram``: the picture as Mermaid text."""
    return Request("GET", _path(workflow_id, "diagram"))


def upload(graph: Mapping[str, Any], *, name: str | None, trusted: bool) -> Request:
    """``POST /workflows``: a new workflow, on a server that takes them."""
    body = {"graph": graph, "trusted": trusted} | ({} if name is None else {"name": name})
    return Request("POST", "/workflows", body)


def cancel(workflow_id: str, run_id: str) -> Request:
    """``POST …/runs/{run_id}/cancel``: stop a run, on a server that can."""
    return Request("POST", _path(workflow_id, "runs", run_id, "cancel"), {})


def _path(*parts: str) -> str:
    for part in parts:
        # urllib3 folds dot segments, so that an id of ".." would name another route
        if part in {"", ".", ".."}:
            raise OrchestraUsageError(f"{part!r} is no id of a workflow or run.")
    return "/workflows/" + "/".join(quote(part, safe="") for part in parts)
