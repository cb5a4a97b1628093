"""The integration ``http_request``: one request to a public address."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any
from urllib.parse import urljoin, urlsplit

from .. import secrets
from ..values import dumps, loads, plain
from ..web import Answer, WebError, fetch
from .base import Call, Node, NodeError, wait_asked
from .integration import COMMON, Integration

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_TIMEOUT = 30.0
MAX_ANSWER = 10_000_000
PRIVATE = "ORCHESTRA_HTTP_PRIVATE"
_MEMBERS = ("method", "url", "headers", "secret_headers", "body", "timeout")
_SAFE = ("GET", "HEAD")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_LATER = (408, 425, 429)
_ERROR, _SERVER_ERROR = 400, 500
_SECRET = re.compile(r"(?:([A-Za-z][A-Za-z-]*) )?([A-Z][A-Z0-9_]*)")
_KEYS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token")
_PROXY = f"; a proxy is set in the environment, and http_request uses one only if the server has {PRIVATE}=1"
_SLOW_CODECS = ("idna", "punycode")
_PASSWORD = re.compile(r"\s*\w+://[^/?#]*:[^/?#]*@")


class HttpRequest(Integration):
    """``{"method", "url", "headers", "secret_headers", "body", "timeout"}``.

    ``body`` is text, or any other value, which goes as JSON. ``secret_headers`` maps a header to the name of a
    secret, with what stands before it: ``{"Authorization": "Bearer GITHUB"}`` takes ``ORCHESTRA_SECRET_GITHUB``
    from the server's environment or the keyring, and no step shows it. A header whose value is null is not sent.
    Addresses of this computer and of private networks are refused, unless the server was started with
    ``ORCHESTRA_HTTP_PRIVATE=1``; only then are proxies of its environment used.

    ``data`` holds ``results`` (JSON as its value, else text), ``status``, ``headers`` and ``encoding``: that is
    ``"base64"`` where ``results`` are bytes that are no text, written in base64, else empty.
    """

    def check(self, node: Node) -> Iterator[tuple[str, str]]:
        """Yield a fault for a request that cannot be sent."""
        given = node.metadata
        yield from _unknown(given)
        if not isinstance(given.get("url"), str):
            yield "url", "http_request needs an address here"
        if str(given.get("method", "GET")).upper() not in METHODS:
            yield "method", f"there is no method {given['method']!r}; there are: {', '.join(METHODS)}"
        for field in ("headers", "secret_headers"):
            if not isinstance(given.get(field, {}), Mapping):
                yield field, f"{field} is an object from a header to text"
        named = given.get("secret_headers")
        for header, name in named.items() if isinstance(named, Mapping) else ():
            if not (isinstance(name, str) and _SECRET.fullmatch(name)):
                yield f"secret_headers.{header}", "a secret is named by capital letters, digits and _: Bearer GITHUB"
        headers = given.get("headers")
        for header, value in headers.items() if isinstance(headers, Mapping) else ():
            if str(header).lower() in _KEYS and value:
                yield f"headers.{header}", f"a key does not stand in a graph: name it in secret_headers.{header}"
        if isinstance(given.get("url"), str) and _PASSWORD.match(given["url"]):
            yield "url", "a password does not stand in a graph: name it in secret_headers.Authorization"

    async def run(self, inputs: dict[str, Any], call: Call) -> dict[str, Any]:
        """Send the request, and return what came back."""
        method = str(inputs.get("method") or "GET").upper()
        asked = inputs.get("headers") or {}
        headers = {str(name): str(value) for name, value in asked.items() if value is not None}
        secret, keys = await self._secret_headers(inputs.get("secret_headers") or {}, call)
        given = {name.lower() for name in (*headers, *secret)}
        body = inputs.get("body")
        sent = None
        if body is not None:
            sent = body.encode() if isinstance(body, str) else dumps(body).encode()
            if "content-type" not in given:
                headers["Content-Type"] = "text/plain" if isinstance(body, str) else "application/json"
        if method not in _SAFE and "idempotency-key" not in given:
            # After a crash the same request may go out once more: whoever knows this header does it once.
            headers["Idempotency-Key"] = call.idempotency_key
        timeout = float(inputs.get("timeout") or DEFAULT_TIMEOUT)
        answer = await _send(method, str(inputs["url"]), headers, secret, sent, timeout)
        if answer.status in _LATER or answer.status >= _SERVER_ERROR:
            message = f"{inputs['url']} answered {answer.status}"
            raise NodeError(message, transient=method in _SAFE, after=wait_asked(answer))
        results, encoding = _read(answer, keys)
        return {
            "results": results,
            "encoding": encoding,
            "status": answer.status,
            "headers": dict(answer.headers),
            "error": _refused(answer),
        }

    async def _secret_headers(self, names: Mapping[str, str], call: Call) -> tuple[dict[str, str], list[str]]:
        """Return the headers, and the secrets in them."""
        headers, keys = {}, []
        for header, wanted in names.items():
            match = _SECRET.fullmatch(str(wanted))
            if match is None:
                raise NodeError(f"secret_headers.{header} does not name a secret")
            before, name = match.groups()
            value = await self.secret(name, call)
            headers[header] = f"{before} {value}" if before else value
            keys.append(value)
        return headers, keys


def _unknown(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    known = (*_MEMBERS, *COMMON)
    for name in given:
        if name not in known:
            yield name, f"http_request takes no {name}; there are: {', '.join(known)}"


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
            hint = _PROXY if public and not error.final and _has_proxy(url) else ""
            again = method in _SAFE and not error.final
            raise NodeError(f"{url} gave no answer: {error}{hint}", transient=again) from None
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or method not in _SAFE or not target:
            return answer
        before, url = url, urljoin(url, target)
        if urlsplit(before)[:2] != urlsplit(url)[:2]:
            secret = {}
    raise NodeError(f"{url} was redirected more than {_MOST_REDIRECTS} times")


def _has_proxy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc)


def _refused(answer: Answer) -> str:
    """Return what the other side did not do, nothing if it did all."""
    if answer.status >= _ERROR:
        return f"answered {answer.status}"
    if answer.status in _REDIRECTS:
        target = answer.headers.get("location") or "no address"
        return f"answered {answer.status}, redirected to {target}; nothing was followed"
    return ""


def _read(answer: Answer, keys: list[str]) -> tuple[Any, str]:
    """Return what an answer holds, and its encoding if that is no text."""
    kind = answer.headers.get("content-type", "").strip().lower()
    body = secrets.hide(answer.body, keys)  # nobody finds them in base64
    text = _text(body, kind)
    if "json" in kind:
        for document in (body, text or ""):
            with contextlib.suppress(ValueError):
                return plain(loads(document)), ""
    return (b64encode(body).decode(), "base64") if text is None else (plain(text), "")


def _text(body: bytes, kind: str) -> str | None:
    """Return a body as text, by the charset that is said or else UTF-8; None where it is none."""
    about = Message()
    about["Content-Type"] = kind
    said = about.get_content_charset()
    for charset in (said, "utf-8"):
        if charset and charset not in _SLOW_CODECS:
            with contextlib.suppress(LookupError, ValueError):
                return body.decode(charset)
    if not kind.startswith("text/"):
        return None
    # As browsers read what does not say its charset.
    return body.decode("utf-8" if said == "utf-8" else "cp1252", "replace")
