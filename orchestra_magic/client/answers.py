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
from .keys import MASK, Key
from .settings import Endpoint

DETAIL_CHARACTERS = 600
MOST_FAULTS = 20
"""Lines of an error that lists faults."""
LONGEST_PAUSE = 86_400.0
"""What a server can ask for by ``Retry-After``, in seconds: a day."""


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
            return Answer(raw.status, raw.headers, _shown(json.loads(raw.body), raw.body, endpoint.key))
        except (ValueError, RecursionError):
            kind = _line(endpoint.key.mask(raw.headers.get("content-type", "no content type")).split(";")[0])
            what = (
                f"{endpoint.host} answered with something that is not JSON ({kind[:80]}). "
                f"Is {endpoint.base_url} the API's address?"
            )
    else:
        failure = refusal(raw, request, endpoint)
        # A proxy may say 408 of an answer that it waited for; below 200 nothing is said of the end.
        refused = 300 <= raw.status < 500 and raw.status != 408
        if refused or not request.starts_a_run:
            raise failure
        what = str(failure)
    if request.starts_a_run:
        raise AnswerLostError(what)
    raise ServerError(what, status=raw.status)


def refusal(raw: Raw, request: Request, endpoint: Endpoint) -> OrchestraError:
    """Return the error that an answer with a status other than 2xx means."""
    status, host = raw.status, endpoint.host
    said = detail(raw, endpoint.key)
    tail = f": {said.rstrip('.')}." if said else "."
    if 300 <= status < 400:
        place = _line(endpoint.key.mask(raw.headers.get("location", "nowhere")))
        return OrchestraConnectionError(
            f"{host} redirects to {place[:200]}, where the key is not sent; nothing was started. "
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
    faults = _faults(raw, endpoint.key)
    if len(faults) > 1:
        more = [f"… and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        tail = "\n  ".join([f": {len(faults)} faults", *faults[:MOST_FAULTS], *more])
    return ServerError(f"{host} did not accept the request ({status}){tail}", status=status)


def _faults(raw: Raw, key: Key) -> list[str]:
    """Return each fault of a graph that an error body lists, in one line and without the key."""
    try:
        data = json.loads(_text(raw, key))
        found = data.get("detail") if isinstance(data, Mapping) else None
        listed = found if isinstance(found, list) else []
        each_names_a_node = all(isinstance(each, Mapping) and "node" in each for each in listed)
        return [_short(_words(each), key) for each in listed] if each_names_a_node else []
    except (ValueError, RecursionError):
        return []


def detail(raw: Raw, key: Key) -> str:
    """Return what an error body says, in one line and without the key."""
    text = _text(raw, key)
    try:
        said = _words(json.loads(text))
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", text[:10_000], re.IGNORECASE | re.DOTALL)
        is_page = text[:1] == "<"
        said = html.unescape(title.group(1)) if title else "" if is_page else text
    return _short(said, key)


def _text(raw: Raw, key: Key) -> str:
    # Masked before anything is cut off: half of a key is one too many.
    body = raw.body.replace(key.reveal().encode(), MASK.encode())
    return body[:100_000].decode("utf-8", "replace").strip()


def _short(said: str, key: Key) -> str:
    said = _line(key.mask(said))
    return said if len(said) <= DETAIL_CHARACTERS else said[:DETAIL_CHARACTERS] + "…"


def _line(text: str) -> str:
    """Return the text of a server as one line of what can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shown(data: Any, body: bytes, key: Key) -> Any:
    """Return an answer's data with the key masked wherever an error holds it: those are shown as they are."""
    longest = max(re.findall(r"\w+", key.reveal()), key=len, default=key.reveal())
    return _masked(data, key) if longest.lower().encode() in body.lower() else data


def _masked(data: Any, key: Key, *, error: bool = False) -> Any:
    if isinstance(data, str):
        return key.mask(data) if error else data
    if isinstance(data, dict):
        return {
            (key.mask(name) if error else name): _masked(value, key, error=error or name == "error")
            for name, value in data.items()
        }
    if isinstance(data, list):
        return [_masked(item, key, error=error) for item in data]
    return data


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
    try:
        asked = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, asked), LONGEST_PAUSE)
