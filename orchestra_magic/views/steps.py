"""The steps of a run on its card: what each took and gave, and what else stands there already left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import faults, value
from .table import Table
from .words import MARKS, escape, line, mark, pill, results, seconds

if TYPE_CHECKING:
    from ..client.records import Step
    from ..client.snapshot import Snapshot

PART = "margin:8px 0 2px 0"
MEMBERS = 4
"""Inputs of a step that stand open beside its error."""
_USUAL_TIMEOUT = 60
"""Seconds that a code node has where its graph says nothing."""


def table(seen: Snapshot) -> Table:
    """Return the steps as a table, for a terminal."""
    rows = [[step.node, mark(faults.status(step)), seconds(step.duration), _last_word(step)] for step in seen.steps]
    return Table(["node", "status", "time", "outputs"], rows)


def html(seen: Snapshot, told: list[str]) -> str:
    """Return inputs and steps as HTML; the errors in ``told`` stand on the card already."""
    given = _given(seen)
    shown = _folded("Inputs", value.html(given)) if given else ""
    if not seen.steps:
        return shown
    told = list(told)
    inner = "".join(_step(step, seen.state.id, given, told) for step in seen.steps)
    total = "1 step" if len(seen.steps) == 1 else f"{len(seen.steps)} steps"
    return shown + _folded(total, inner, is_open=any(faults.of(step) for step in seen.steps))


def part(name: str) -> str:
    """Return a heading on the card."""
    return f'<p style="{PART}"><b>{escape(name)}</b></p>'


def _folded(summary: str, content: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{content}</details>"


def _given(seen: Snapshot) -> Any:
    """Return the inputs of the run; a step knows them with their defaults."""
    known = (step.inputs.get("input_data") for step in seen.steps if isinstance(step.inputs, Mapping))
    return next((each for each in known if isinstance(each, Mapping)), seen.state.inputs)


def _step(step: Step, run_id: str, given: Any, told: list[str]) -> str:
    facts = " · ".join(
        each for each in (seconds(step.duration), f"{step.tokens} tokens" if step.tokens else "") if each
    )
    summary = f"<summary><b>{escape(line(step.node))}</b> {pill(faults.status(step))} {escape(facts)}</summary>"
    said = faults.of(step)
    parts = [_error(said, told) if said else ""]
    inputs = _inputs(step.inputs, run_id, given)
    if inputs not in (None, {}):
        long = bool(said) and isinstance(inputs, Mapping) and len(inputs) > MEMBERS
        shown = value.html(inputs)
        parts.append(_folded("Inputs", shown) if long else part("Inputs") + shown)
    if results(step.outputs) is not None or MARKS.get(faults.status(step)) == MARKS["completed"]:
        parts.append(part("Outputs") + value.html(step.outputs))
    inner = f'<div style="margin:2px 0 8px 16px">{"".join(parts)}</div>'
    return f'<details{" open" if said else ""} style="margin:4px 0 4px 12px">{summary}{inner}</details>'


def _error(said: str, told: list[str]) -> str:
    if said in told:
        return part("Error: see above")
    shown = part("Error") + value.verbatim(faults.untold(said, told))
    told.append(said)
    return shown


def _inputs(inputs: Any, run_id: str, given: Any) -> Any:
    """Return a step's inputs without what is the same for all steps, or what a server fills in."""
    if not isinstance(inputs, Mapping):
        return inputs
    usual: dict[str, list[Any]] = {"run_id": [run_id], "input_data": [given]}
    if "code" in inputs:
        usual |= {"timeout": [_USUAL_TIMEOUT], "values": [given, {}]}
    return {name: each for name, each in inputs.items() if not any(_same(each, one) for one in usual.get(name, ()))}


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:  # nested too deeply to tell
        return False


def _last_word(step: Step) -> str:
    said = faults.of(step) or results(step.outputs)
    return "" if said is None else line(said, 60)
