"""Requests of nodes to the outside: one function, in threads of its own, with limits."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from .._version import __version__

MAX_ANSWER = 32 << 20
_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="web")


class WebError(Exception):
    """No answer came. The message says why."""


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A followed POST becomes a GET, and the key would go to a host that it was not given for.
    def redirect_request(self, *_: Any) -> None:
        return None


async def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 60.0,
    max_answer: int = MAX_ANSWER,
) -> Answer:
    """Send one request and return the answer, also if its status is an error.

    Proxies come from the environment, redirects are not followed.

    Raises
    ------
    WebError
        If no answer came in time, or it is larger than ``max_answer`` bytes.
    """
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310  (see _send)
    request.add_header("User-Agent", f"orchestra_magic/{__version__}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, _send, request, timeout, max_answer)


def _send(request: urllib.request.Request, timeout: float, max_answer: int) -> Answer:
    if request.type not in ("http", "https"):
        raise WebError(f"{request.full_url} is neither http nor https")
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=timeout) as response:
            return _read(response, response.status, max_answer)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error, error.code, max_answer)
    except (TimeoutError, OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            reason = f"no answer within {timeout:g} s"
        raise WebError(str(reason) or type(error).__name__) from None


def _read(response: Any, status: int, max_answer: int) -> Answer:
    body = response.read(max_answer + 1)
    if len(body) > max_answer:
        raise WebError(f"the answer is larger than {max_answer} bytes")
    return Answer(status, {name.lower(): value for name, value in response.headers.items()}, body)
