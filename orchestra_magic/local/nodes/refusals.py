"""Parameters that an endpoint refuses: OpenAI's own words are understood by all, but some knows more, and some less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..web import Answer

NEEDED = ("model", "messages", "stream")
_STATUSES = (400, 422)
# What Orchestra documents and OpenAI does not know: an error that names one of these is about that.
_FOREIGN = ("top_k", "repetition_penalty")
_UNKNOWN = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|extra_forbidden|invalid (?:argument|parameter)"
    r"|not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed|accepted)|does(?: not|n't) (?:support|accept)",
    re.IGNORECASE,
)
_RENAMED = {"max_tokens": "max_completion_tokens"}


class Refusals:
    """Remembers what each endpoint refused for each model, as long as the server lives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], set[str]] = {}
        self._renamed: set[tuple[str, str]] = set()

    def learn(self, endpoint: str, sent: Mapping[str, Any], answer: Answer) -> bool:
        """Take note of the parameters that ``answer`` refuses; return whether there are any."""
        if answer.status not in _STATUSES:
            return False
        said = answer.body.decode("utf-8", "replace")
        about = bool(_UNKNOWN.search(said))
        refused = {
            name
            for name in sent
            if name not in NEEDED and (about or name in _FOREIGN) and re.search(rf"\b{re.escape(name)}\b", said)
        }
        key = (endpoint, str(sent["model"]))
        for name, other in _RENAMED.items():
            if name in refused and other in said and key not in self._renamed:
                self._renamed.add(key)
        self._known.setdefault(key, set()).update(refused)
        return bool(refused)

    def apply(self, endpoint: str, call: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return ``call`` as the endpoint takes it, and what the step says of that."""
        key = (endpoint, str(call["model"]))
        known = self._known.get(key, set())
        sent = {name: value for name, value in call.items() if name not in known}
        notes: dict[str, Any] = {}
        if key in self._renamed:
            for name, other in _RENAMED.items():
                if name in call and other not in known:
                    sent[other] = call[name]
                    notes["renamed"] = {name: other}
        left_out = sorted(name for name in call if name in known and name not in notes.get("renamed", {}))
        return sent, notes | ({"left_out": left_out} if left_out else {})
