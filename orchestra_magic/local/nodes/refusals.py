"""Parameters that an endpoint does not know: OpenAI's own words are understood by all, but some knows more, some less.

A complaint about a value is no such refusal, and fails the step. Endpoints tell the two apart in their wording alone:
a parameter is refused where one of the known sayings stands right beside its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..values import dumps, loads, plain
from ..web import Answer

NEEDED = ("model", "messages", "stream")
_STATUSES = (400, 422)
_RENAMED = {"max_tokens": "max_completion_tokens"}
_LONGEST = 20_000

_QUOTES = r"""[\\`'"]{0,8}"""
_NAME = rf"""{_QUOTES}(?<![\w.\]-])(?:body(?:\.| -> ))?[\w.\[\]-]{{1,64}}(?![\w-]){_QUOTES}(?![\\`'"])"""
_NAMES = rf"(?P<names>[\[({{]?{_NAME}(?:(?:,| and) {_NAME}){{0,15}})"
_UNKNOWN = r"(?:un(?:known|recogni[sz]ed|supported|expected)|extra|extraneous|additional)"
_NOT = r"(?:not (?:supported|permitted|allowed|accepted|recogni[sz]ed|known)|deprecated)"
_DOES_NOT = r"(?:does not|doesn't|do not) (?:support|accept|allow|recogni[sz]e)"
_SUPPLIED = r"(?:supplied|provided|given|found|in object|are not permitted, field)"
_KIND = (
    r"(?:(?:request|keyword|body) )?"
    r"(?:parameter|param|argument|field|option|attribute|input|name|key|propert(?:y|ies))(?:s|\(s\))?"
)
# What follows decides: "n is not supported with this model" is about n, "n is not supported above 4" about its value.
_END = r"""(?=[\\`'"\])}]{0,9}(?:$| ?[.,;:!)\]}]| (?:by|(?:with|on|for|in) (?:this|the|that|your|model))\b))"""
_SAYINGS = [
    re.compile(one, re.IGNORECASE | re.MULTILINE)
    for one in (
        # Unknown parameter: 'top_k'.
        rf"\b{_UNKNOWN} {_KIND}(?: {_SUPPLIED})?:? ?(?:{_KIND} )?{_NAMES}(?! ?(?:[=<>]|values?\b))",
        # property 'top_k' is unsupported
        rf"{_NAMES} (?:is|are|was|were) (?:{_UNKNOWN}|{_NOT}){_END}",
        # This model does not support top_k.
        rf"(?<![`'\"] )\b{_DOES_NOT} (?:the )?(?:{_KIND}:? )?{_NAMES}(?: {_KIND})?{_END}",
        # top_k: Extra inputs are not permitted
        rf"{_NAMES} ?:?\s(?:{_UNKNOWN} (?:{_KIND}|forbidden)|{_KIND} (?:are |is )?{_NOT})(?:$|[ .;(\[])(?!values?\b)",
        # [{'loc': ('body', 'top_k'), 'msg': 'Extra inputs are not permitted', …}], as a text
        r"""body['"], ?['"](?P<names>\w+)['"][)\]], ?['"]msg['"]: ?['"]extra (?:input|field)s""",
    )
]
# Of this value, but no other would do: it is left out, until there is another.
_ONLY_DEFAULT = [re.compile(rf"{_NAMES} does not support .{{1,200}} only the default", re.IGNORECASE)]


class Refusals:
    """Remembers what each endpoint refused for each model, as long as the server lives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], set[str]] = {}
        self._renamed: set[tuple[str, str]] = set()

    def learn(self, endpoint: str, sent: Mapping[str, Any], answer: Answer) -> bool:
        """Take note of the parameters that ``answer`` refuses; return whether there are any."""
        if answer.status not in _STATUSES:
            return False
        said = _said(answer, sent)
        refused = _named(_SAYINGS, said, sent)
        key = (endpoint, str(sent["model"]))
        for name, other in _RENAMED.items():
            if name in refused and other in said:
                self._renamed.add(key)
        refused |= {_pair(name, sent[name]) for name in _named(_ONLY_DEFAULT, said, sent)}
        self._known.setdefault(key, set()).update(refused)
        return bool(refused)

    def apply(self, endpoint: str, call: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return ``call`` as the endpoint takes it, and what the step says of that."""
        key = (endpoint, str(call["model"]))
        known = self._known.get(key, set())
        sent = {
            name: value
            for name, value in call.items()
            if name in NEEDED or known.isdisjoint((name, _pair(name, value)))
        }
        notes: dict[str, Any] = {}
        if key in self._renamed:
            for name, other in _RENAMED.items():
                if name in call and other not in known and other not in call:
                    sent[other] = call[name]
                    notes["renamed"] = {name: other}
        left_out = sorted(name for name in call if name not in sent and name not in notes.get("renamed", {}))
        return sent, notes | ({"left_out": left_out} if left_out else {})


def _pair(name: str, value: Any) -> str:
    return f"{name}={dumps(value)}"


def _named(sayings: list[re.Pattern[str]], said: str, sent: Mapping[str, Any]) -> set[str]:
    found = {
        word.strip(".[]").removeprefix("body.")
        for saying in sayings
        for match in saying.finditer(said)
        for word in re.findall(r"[\w.\[\]-]+", match["names"])
    }
    return {name for name in sent if name in found and name not in NEEDED}


def _said(answer: Answer, sent: Mapping[str, Any]) -> str:
    """Return the texts of ``answer``, without those of the call's messages that it may repeat."""
    try:
        texts = "\n".join(_texts(plain(loads(answer.body))))
    except ValueError:
        texts = answer.body.decode("utf-8", "replace")
    for own in _texts([message.get("content") for message in sent["messages"]]):
        if set(sent).intersection(re.findall(r"\w+", own)):
            texts = texts.replace(own, "…").replace(repr(own)[1:-1], "…")
    return "\n".join(" ".join(line.split()) for line in texts[:_LONGEST].splitlines())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        place = value.get("loc") or value.get("param")
        if place:
            name = ".".join(map(str, place)) if isinstance(place, list) else str(place)
            for said in ("msg", "message", "type", "code"):
                yield f"{name}: {str(value.get(said)).replace('_', ' ')}"
        for name, item in value.items():
            if name not in ("loc", "input", "ctx"):
                yield from _texts(item)
