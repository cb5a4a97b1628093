"""The integration ``http_request``: one request to a public address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..values import dumps, loads, plain
from ..web import Answer, WebError, fetch
from .base import Call, Node, NodeError, wait_asked
from .integration import Integration

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_TIMEOUT = 30.0
MAX_ANSWER = 10_000_000
PRIVATE = "ORCHESTRA_HTTP_PRIVATE"
_SAFE = ("GET", "HEAD")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_LATER = (408, 425, 429)
_ERROR, _SERVER_ERROR = 400, 500
_SECRET = re.compile(r"(?:([A-Za-z][A-Za-z-]*) )?([A-Z][A-Z0-9_]*)")
_KEYS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token")
_PASSWORD = re.compile(r"\s*\w+://[^/?#]*:[^/?#]*@")


class HttpRequest(Integration):
    """``{"method", "url", "headers", "secret_headers", "body", "timeout"}``.

    ``body`` is text, or any other value, which goes as JSON. ``secret_headers`` maps a header to the name of a
    secret, with what stands before it: ``{"Authorization": "Bearer GITHUB"}`` takes ``ORCHESTRA_SECRET_GITHUB``
    from the server's environment or the keyring, and no step shows it. Addresses of this computer and of private
    networks are refused, unless the server was started with ``ORCHESTRA_HTTP_PRIVATE=1``.
    """

    def check(self, node: Node) -> Iterator[tuple[str, str]]:
        """Yield a fault for a request that cannot be sent."""
        given = node.metadata
        if not isinstance(given.get("url"), str):
            yield "url", "http_request needs an address here"
        if str(given.get("method", "GET")).upper() not in METHODS:
            yield "method", f"there is no method {given['method']!r}; there are: {', '.join(METHODS)}"
        for field in ("headers", "secret_headers"):
            if not isinstance(given.get(field, {}), Mapping):
                yield field, f"{field} is an object from a header to text"
        secrets = given.get("secret_headers")
        for header, name in secrets.items() if isinstance(secrets, Mapping) else ():
            if not (isinstance(name, str) and _SECRET.fullmatch(name)):
                yield f"secret_headers.{header}", "a secret is named by capital letters, digits and _: Bearer GITHUB"
        headers = given.get("headers")
        for header, value in headers.items() if isinstance(headers, Mapping) else ():
            if str(header).lower() in _KEYS and value:
                yield f"headers.{header}", f"a key does not stand in a graph: name it in secret_headers.{header}"
        if isinstance(given.get("url"), str) and _PASSWORD.match(given["url"]):
            yield "url", "a password does not stand in a graph: name it in secret_headers.Authorization"

    async def run(self, inputs: dict[str, Any], call: Call) -> dict[str, Any]:
        """Send the request, and return ``results`` (JSON as its value, else text), ``status`` and ``headers``."""
        method = str(inputs.get("method") or "GET").upper()
        headers = {str(name): str(value) for name, value in (inputs.get("headers") or {}).items()}
        secret = await self._secret_headers(inputs.get("secret_headers") or {}, call)
        body = inputs.get("body")
        sent = None
        if body is not None:
            sent = body.encode() if isinstance(body, str) else dumps(body).encode()
            headers.setdefault("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        if method not in _SAFE:
            # After a crash the same request may go out once more: whoever knows this header does it once.
            headers.setdefault("Idempotency-Key", call.idempotency_key)
        timeout = float(inputs.get("timeout") or DEFAULT_TIMEOUT)
        answer = await _send(method, str(inputs["url"]), headers, secret, sent, timeout)
        if answer.status in _LATER or answer.status >= _SERVER_ERROR:
            message = f"{inputs['url']} answered {answer.status}"
            raise NodeError(message, transient=method in _SAFE, after=wait_asked(answer))
        return {
            "results": _read(answer),
            "status": answer.status,
            "headers": dict(answer.headers),
            "error": f"answered {answer.status}" if answer.status >= _ERROR else "",
        }

    async def _secret_headers(self, names: Mapping[str, str], call: Call) -> dict[str, str]:
        headers = {}
        for header, wanted in names.items():
            match = _SECRET.fullmatch(str(wanted))
            if match is None:
                raise NodeError(f"secret_headers.{header} does not name a secret")
            before, name = match.groups()
            value = await self.secret(name, call)
            headers[header] = f"{before} {value}" if before else value
        return headers


async def _send(  # noqa: PLR0917  (the parts of a request)
    method: str, url: str, headers: dict[str, str], secret: dict[str, str], body: bytes | None, timeout: float
) -> Answer:
    public = os.environ.get(PRIVATE, "").strip().lower() not in ("1", "true", "yes", "on")
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            answer = await fetch(
                method,
                url,
                headers={**headers, **secret},
                body=body,
                timeout=timeout,
                max_answer=MAX_ANSWER,
                public=public,
            )
        except WebError as error:
            again = method in _SAFE and not error.final
            raise NodeError(f"{url} gave no answer: {error}", transient=again) from None
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or method not in _SAFE or not target:
            return answer
        before, url = url, urljoin(url, target)
        if urlsplit(before)[:2] != urlsplit(url)[:2]:
            secret = {}
    raise NodeError(f"{url} was redirected more than {_MOST_REDIRECTS} times")


def _read(answer: Answer) -> Any:
    kind = answer.headers.get("content-type", "")
    if "json" in kind:
        try:
            return plain(loads(answer.body))
        except ValueError:
            pass
    return plain(answer.body.decode("utf-8", "replace"))
