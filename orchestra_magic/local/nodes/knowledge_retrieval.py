"""The knowledge retrieval node: the chunks of a knowledge base that fit a question."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from .. import references
from ..database import DataError
from ..knowledge.bases import UnknownBaseError
from ..knowledge.searching import FULL_TEXT, MODES
from ..patience import may_pass
from ..values import text
from .base import Call, Node, NodeError, NodeType, Outcome

DEFAULT_TOP, MOST = 5, 100


class KnowledgeRetrievalNode(NodeType):
    """``metadata: {"knowledge_base", "query", "top_k": 5, "mode": "full_text|vector|hybrid"}``."""

    name = "knowledge_retrieval"

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for a search that cannot be made."""
        del targets
        given = node.metadata
        for field, what in (("knowledge_base", "the name of a knowledge base"), ("query", "what to search for")):
            if not (isinstance(given.get(field), str) and given[field].strip()):
                yield field, f"a knowledge retrieval node needs {what} here, as text"
        for field in ("top_k", "mode"):
            value = given.get(field)
            if value is not None and not any(references.find(value)) and (fault := _fault(field, value)):
                yield field, fault

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the search, references filled in."""
        given = {"top_k": DEFAULT_TOP, "mode": FULL_TEXT} | {
            key: value for key, value in call.node.metadata.items() if value is not None
        }
        wanted = {key: given[key] for key in ("knowledge_base", "query", "top_k", "mode")}
        filled: dict[str, Any] = references.fill(wanted, call.scope)
        return filled | {"knowledge_base": text(filled["knowledge_base"]), "query": text(filled["query"])}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Search, and put the chunks into the same envelope as the output of a code node."""
        for field in ("top_k", "mode"):
            if fault := _fault(field, inputs[field]):
                raise NodeError(fault)
        if not inputs["query"].strip():
            raise NodeError("the query is empty: there is nothing to search for")
        bases = call.services.knowledge
        try:
            found = await bases.search(inputs["knowledge_base"], inputs["query"], inputs["top_k"], inputs["mode"])
        except (UnknownBaseError, DataError) as error:
            raise NodeError(str(error)) from None
        except sqlite3.Error as error:
            raise NodeError(f"the knowledge base cannot be read: {error}", transient=may_pass(error)) from None
        notes: dict[str, Any] = {"mode": found.mode}
        if found.mode != inputs["mode"]:
            notes["instead_of"] = inputs["mode"]
        if found.note:
            notes["note"] = found.note
        data = {"results": [vars(hit) for hit in found.hits], **notes, "error": ""}
        return Outcome({"data": data, "error": None, "successfull": True, "successful": True}, notes=notes)


def _fault(field: str, value: Any) -> str | None:
    if field == "mode":
        return None if value in MODES else f"there is no mode {value!r}; there are: {', '.join(MODES)}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole and 1 <= value <= MOST else f"top_k is a whole number from 1 to {MOST}"
