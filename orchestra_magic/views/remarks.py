"""What stands on the face of a card although a run went well: what its result is worth less for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .words import line

if TYPE_CHECKING:
    from ..client.records import Step

MOST = 3
"""Nodes that a remark names."""


def remarks(steps: Sequence[Step]) -> list[str]:
    """Return a sentence for each remark, with the nodes that it is about."""
    found: dict[str, dict[str, None]] = {}
    for step in steps:
        for remark in _of(step):
            found.setdefault(remark, {})[line(step.node, 40)] = None
    return [f"{_named(list(nodes))}: {remark}." for remark, nodes in found.items()]


def _named(nodes: list[str]) -> str:
    more = len(nodes) - MOST
    return ", ".join(nodes[:MOST]) + (f" and {more} more" if more > 0 else "")


def _of(step: Step) -> Iterator[str]:
    """Yield what the notes of a step and the end of a model's answer say; members of other forms say nothing."""
    inputs = step.inputs if isinstance(step.inputs, Mapping) else {}
    model, asked = _text(step.notes.get("model")), _text(inputs.get("model"))
    answered = f"{model} answered{f', not {asked}' if asked else ''}" if model else ""
    if said := "; ".join(part for part in (answered, _text(step.notes.get("quality"))) if part):
        yield said
    if note := _text(step.notes.get("note")):
        yield note
    if _cut(step.outputs):
        yield "the answer is cut off, at the most tokens that it may have"


def _text(value: Any) -> str:
    return line(value, 160) if isinstance(value, str) else ""


def _cut(outputs: Any) -> bool:
    choices = outputs.get("choices") if isinstance(outputs, Mapping) else None
    found = choices if isinstance(choices, list) else []
    return any(isinstance(each, Mapping) and each.get("finish_reason") == "length" for each in found)
