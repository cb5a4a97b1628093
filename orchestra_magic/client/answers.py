"""What the server said: a body as data, or one of our own errors.

The documentation says nothing of error bodies, and a proxy may answer in the server's place: so ``detail``,
``message`` and ``error`` are read in any form, and plain text and HTML pages too.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import NotFound, OrchestraAuthError, OrchestraConnectionError, OrchestraError, ServerError
from .api import Request
from .settings import Endpoint

DETAIL_CHARACTERS = 600


@dataclass(frozen=True)
class Answer:
    """A good answer: its status, its headers (names in lower case) and its JSON."""

    status: int
    headers: Mapping[str, str]
    data: Any


class AnswerLostError(Exception):
    """The answer to a start did not arrive or cannot be read: the run may exist. Never leaves the client."""


@dataclass(frozen=True)
class Raw:
    """An answer as it came: status, headers (names in lower case), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(raw: Raw, request: Request, endpoint: Endpoint) -> Answer:
    """Return the answer's JSON, or raise what its status means.

    Raises
    ------
    AnswerLostError
        If the request starts a run and the answer leaves open whether it did.
    OrchestraError
        The fitting one, otherwise.
    """
    if raw.status == 304:
        return Answer(raw.status, raw.headers, None)
    if 200 <= raw.status < 300:
        try:
            return Answer(raw.status, raw.headers, json.loads(raw.body))
        except (ValueError, RecursionError):
            kind = raw.headers.get("content-type", "no content type").split(";")[0]
            what = (
                f"{endpoint.host} answered with something that is not JSON ({kind}). "
                f"Is {endpoint.base_url} the API's address?"
            )
    else:
        failure = refusal(raw, request, endpoint)
        if not (request.starts_a_run and raw.status >= 500):
            raise failure
        what = str(failure)
    if request.starts_a_run:
        raise AnswerLostError(what)
    raise ServerError(what, status=raw.status)


def refusal(raw: Raw, request: Request, endpoint: Endpoint) -> OrchestraError:
    """Return the error that an answer with a status other than 2xx means."""
    status, host = raw.status, endpoint.host
    said = endpoint.key.mask(detail(raw))
    tail = f": {said.rstrip('.')}." if said else "."
    if 300 <= status < 400:
        place = endpoint.key.mask(raw.headers.get("location", "nowhere"))
        return OrchestraConnectionError(
            f"{host} redirects to {place}, where a key for {host} is not sent; nothing was started. "
            "If that is the API's address, choose it with `%orchestra_connect`."
        )
    if status in {401, 403}:
        return OrchestraAuthError(
            f"{host} refused the API key ({status}){tail} Check that the key is right and belongs to this server"
            " (`%orchestra_connect` says where we are connected).",
            status=status,
        )
    if status == 404:
        return NotFound(
            f"{host} does not know {request.path} (404){tail} `%orchestra_workflows` lists the workflows"
            " (`%orchestra_connect` says where we are connected).",
            status=status,
        )
    if status == 429:
        pause = retry_after(raw.headers)
        hint = "a while" if pause is None else f"{pause:.0f} s"
        return ServerError(
            f"{host} has had too many requests (429){tail} Wait {hint}.", status=status, retry_after=pause
        )
    if status >= 500:
        return ServerError(f"{host} failed ({status}){tail}", status=status, retry_after=retry_after(raw.headers))
    return ServerError(f"{host} did not accept the request ({status}){tail}", status=status)


def detail(raw: Raw) -> str:
    """Return what an error body says, in one line."""
    text = raw.body[:100_000].decode("utf-8", "replace").strip()
    try:
        said = _words(json.loads(text))
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        is_page = text[:1] == "<"
        said = html.unescape(title.group(1)) if title else "" if is_page else text
    said = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return said if len(said) <= DETAIL_CHARACTERS else said[:DETAIL_CHARACTERS] + "…"


def _words(data: Any) -> str:
    """Return the sentence in an error body of any shape."""
    if isinstance(data, str):
        return data
    if isinstance(data, Mapping):
        for name in ("detail", "message", "error", "msg"):
            if data.get(name):
                where = data.get("loc") or [data[k] for k in ("node", "field") if isinstance(data.get(k), str)]
                place = ".".join(str(part) for part in where) if isinstance(where, list) else ""
                return f"{place}: {_words(data[name])}" if place else _words(data[name])
        return json.dumps(data, ensure_ascii=False) if data else ""
    if isinstance(data, list):
        return "; ".join(_words(item) for item in data)
    return "" if data is None else str(data)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, in either of its forms."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
