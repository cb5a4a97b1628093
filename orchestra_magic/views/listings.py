"""Workflows, runs and steps as tables, and one workflow as a page of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import diagram
from .table import Table
from .words import NOT_TYPESET, clean, clock, escape, line, mark, results, seconds

if TYPE_CHECKING:
    from datetime import datetime

    from ..client.records import Input, RunState, Step
    from ..client.workflow import Workflow


def workflows(found: Iterable[Workflow]) -> Table:
    """Return workflows as a table: name, id, inputs, status."""
    rows = [[each.name, each.id, ", ".join(_names(each)), each.status, line(each.description, 60)] for each in found]
    return Table(["name", "id", "inputs", "status", "description"], rows, empty="This server has no workflows.")


def runs(found: Iterable[tuple[RunState, str]]) -> Table:
    """Return runs as a table: id, status, start, duration, inputs and outputs at a glance."""
    rows = [
        [
            state.id,
            mark(state.status),
            clock(state.started_at),
            seconds(state.duration),
            line(dict(state.inputs), 40),
            line(state.error or results(state.outputs), 40),
        ]
        for state, _ in found
    ]
    return Table(["run", "status", "started (UTC)", "time", "inputs", "outputs"], rows, empty="There are no runs.")


def started(
    found: Iterable[tuple[str, datetime, RunState | None]], notes: Sequence[str], *, empty: str
) -> dict[str, str]:
    """Return starts as text and HTML: each with its workflow, its time, and its run where there is one for certain."""
    rows = [
        [
            "" if state is None else state.id[:8],
            line(workflow, 40),
            mark("unconfirmed" if state is None else state.status),
            clock(sent_at if state is None else state.started_at or sent_at),
            "" if state is None else seconds(state.duration),
            "" if state is None else line(dict(state.inputs), 40) if state.inputs else "",
            "" if state is None else line(state.error or results(state.outputs), 40) if state.finished else "",
        ]
        for workflow, sent_at, state in found
    ]
    head = ["run", "workflow", "status", "started (UTC)", "time", "inputs", "outputs"]
    table = Table(head, rows, empty=clean(empty))
    said = [clean(note) for note in notes]
    html = table.html() + "".join(f"<p>{escape(note)}</p>" for note in notes)
    return {"text/plain": "\n".join([table.text(), *said]), "text/html": html}


def steps(found: Iterable[Step]) -> Table:
    """Return the steps of a run as a table."""
    rows = [
        [
            each.node,
            mark(each.status),
            seconds(each.duration),
            str(each.tokens or ""),
            line(each.inputs, 40),
            line(each.error or results(each.outputs), 60),
        ]
        for each in found
    ]
    return Table(["node", "status", "time", "tokens", "inputs", "outputs"], rows, empty="No step has run yet.")


def inputs(found: Iterable[Input]) -> Table:
    """Return the inputs of a workflow as a table."""
    rows = [
        [
            each.name,
            each.type or "",
            "required" if each.required else f"default {line(default(each), 30)}" if each.has_default else "optional",
            " | ".join(line(choice, 20) for choice in each.enum),
            each.description,
            each.source,
        ]
        for each in found
    ]
    return Table(["input", "type", "", "choices", "description", "known from"], rows, empty="It takes no inputs.")


def workflow_text(workflow: Workflow, known: Iterable[Input]) -> str:
    """Return one workflow for a terminal: what it is, its inputs, its graph."""
    parts = [f"{line(workflow.name, 200)} ({line(workflow.id, 200)})", clean(workflow.description)]
    parts += ["", inputs(known).text(), "", diagram.text(diagram.from_graph(workflow.graph))]
    return "\n".join(parts)


def workflow_html(workflow: Workflow, known: Iterable[Input]) -> str:
    """Return one workflow as HTML: what it is, its inputs, its picture."""
    head = f"<p><b>{escape(workflow.name)}</b> <code>{escape(workflow.id)}</code><br>{escape(workflow.description)}</p>"
    return f"<div {NOT_TYPESET}>{head}{inputs(known).html()}{diagram.img(diagram.from_graph(workflow.graph))}</div>"


def default(known: Input) -> Any:
    """Return an input's default as it may be shown."""
    return "********" if known.secret else known.default


def _names(workflow: Workflow) -> list[str]:
    return [each.name + ("*" if each.required else "") for each in workflow.named_inputs]
