"""Rows become the documented answers, member by member."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from .graph import END, START, Graph
from .runs import View
from .steps import Record
from .values import dumps, elapsed, loads, run_time, workflow_time

USER = "local"
_NAMESPACE = uuid.UUID("6f0c6b0e-0d0b-5f86-9c3a-52f2b1a9d0a7")
_NODE_STYLE = "fill:#bbf,stroke:#333,stroke-width:1px,color:#fff"
_END_STYLES = {
    START: "fill:#9f9,stroke:#333,stroke-width:2px,color:#fff",
    END: "fill:#f99,stroke:#333,stroke-width:2px,color:#fff",
}


def workflow_answer(row: sqlite3.Row) -> dict[str, Any]:
    """Return a workflow as the list shows it."""
    graph = loads(row["document"])
    key = f"{row['hash']}.json"
    return {
        "workflow_id": row["workflow_id"],
        "user_id": USER,
        "organization_id": USER,
        "created_at": workflow_time(row["created"]),
        "created_by": USER,
        "description": str(graph.get("description") or ""),
        "file_metadata": {"bucket": USER, "url": f"local://graphs/{key}", "key": key},
        "graph": graph,
        "name": row["name"],
        "status": "inactive" if row["deleted"] else "active",
        "updated_at": workflow_time(row["updated"]),
        "updated_by": USER,
        "version": row["version"],
        "public": False,
    }


def run_document(row: sqlite3.Row, status: str, node_outputs: Mapping[str, Any]) -> str:
    """Return a run as JSON: the documented members, and by which key a client whose answer was lost finds it.

    Its values may be large, so what is stored as JSON goes out as it is.
    """
    everything = dumps({**loads(row["inputs"]), **loads(row["defaults"]), **node_outputs})
    outputs = row["outputs"] or (everything if status == "completed" else "null")
    state = {
        "id": row["run_id"],
        "status": status,
        "start_time": run_time(row["started"]),
        "end_time": run_time(row["ended"]),
        "elapsed_time": elapsed(row["started"], row["ended"]),
        "error": row["error"],
    }
    return (
        f'{dumps(state)[:-1]},"outputs":{outputs},"all_outputs":{everything},"inputs":{row["inputs"]},'
        f'"idempotency_key":{dumps(row["key"])}}}'
    )


def step_answer(view: View, record: Record) -> dict[str, Any]:
    """Return a step."""
    run = view.row
    context = {"run_id": run["run_id"], "input_data": {**loads(run["inputs"]), **loads(run["defaults"])}}
    return {
        "id": str(uuid.uuid5(_NAMESPACE, f"{run['run_id']}/{record['key']}")),
        "user_id": USER,
        "organization_id": USER,
        "node_id": record["node"],
        "status": record["status"],
        "start_time": run_time(record["started"]),
        "end_time": run_time(record["ended"]),
        "elapsed_time": elapsed(record["started"], record["ended"]),
        "error": record["error"],
        "outputs": record["output"],
        "inputs": {**record["inputs"], **context},
        "step_metadata": record["notes"],
        "tokens": record["tokens"],
    }


def diagram_answer(graph: Graph) -> dict[str, str]:
    """Return the picture of a graph, in Mermaid."""
    lines = ["graph TD"]
    for node in graph.nodes.values():
        label = f"{node.name}<br/>{node.description}".replace('"', "#quot;").replace("\n", " ")
        lines.append(f'    {node.name}["{label}"]')
    lines += [f"    {end}(({end}))" for end in (START, END)]
    lines += [f"    {source} --> {target}" for source, targets in graph.edges.items() for target in targets]
    lines += [f"    style {name} {_NODE_STYLE}" for name in graph.nodes]
    lines += [f"    style {end} {style}" for end, style in _END_STYLES.items()]
    return {"diagram": "\n".join(lines)}
