"""The routes as OpenAPI 3.1, written from the table of routes itself, so that none can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from starlette.routing import Route

from .._version import __version__
from .knowledge.bases import NAME

_ANY: dict[str, Any] = {}
_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_NAME = {"type": "string", "pattern": r"\S"}
_OBJECT = {"type": "object"}
_WHOLE = {"type": "integer"}
_STATUS = {"enum": ["queued", "running", "completed", "failed", "cancelled"]}


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members)}


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_TIMES = {"start_time": _MAYBE_TEXT, "end_time": _MAYBE_TEXT, "elapsed_time": {"type": ["integer", "null"]}}
_BESIDE_A_GRAPH = {
    "name": _MAYBE_TEXT,
    "trusted": {"type": ["boolean", "null"], "description": "as it was; of a new workflow, true"},
}
_KNOWLEDGE_BASE = _object(
    name=_TEXT, description=_TEXT, created_at=_TEXT, updated_at=_TEXT, document_count=_WHOLE, chunk_count=_WHOLE
)
_DAMAGE = {"error": {"type": "string", "description": "why the file of this one cannot be used"}}
_DOCUMENT = _object(name=_TEXT, format=_TEXT, size=_WHOLE, chunks=_WHOLE, added_at=_TEXT)
_SCHEMAS: dict[str, Any] = {
    "Workflow": _object(
        workflow_id=_TEXT,
        user_id=_TEXT,
        organization_id=_TEXT,
        created_at=_TEXT,
        created_by=_TEXT,
        description=_TEXT,
        file_metadata=_object(bucket=_TEXT, url=_TEXT, key=_TEXT),
        graph={"$ref": "#/components/schemas/Graph"},
        name=_TEXT,
        status={"enum": ["active", "inactive"]},
        updated_at=_TEXT,
        updated_by=_TEXT,
        version=_WHOLE,
        public={"type": "boolean"},
    ),
    "Run": _object(
        id=_TEXT,
        status=_STATUS,
        **_TIMES,
        error=_MAYBE_TEXT,
        outputs=_ANY,
        all_outputs=_OBJECT,
        inputs=_OBJECT,
        idempotency_key=_MAYBE_TEXT,
    ),
    "Step": _object(
        id=_TEXT,
        user_id=_TEXT,
        organization_id=_TEXT,
        node_id=_TEXT,
        status=_STATUS,
        **_TIMES,
        error=_MAYBE_TEXT,
        outputs=_ANY,
        inputs=_OBJECT,
        step_metadata={"type": ["object", "null"]},
        tokens=_WHOLE,
    ),
    "Graph": {
        "type": "object",
        "properties": {
            "description": _TEXT,
            "settings": _object(),
            "input_data": {"type": ["object", "array"]},
            "nodes": {"type": "object", "additionalProperties": _object(type=_TEXT)},
            "edges": {"type": "array", "items": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}},
            "selectedOutput": _MAYBE_TEXT,
        },
        "required": ["nodes", "edges"],
    },
    "Upload": {
        "anyOf": [
            {"allOf": [{"$ref": "#/components/schemas/Graph"}], "properties": _BESIDE_A_GRAPH},
            {
                "type": "object",
                "properties": {**_BESIDE_A_GRAPH, "graph": {"$ref": "#/components/schemas/Graph"}},
                "required": ["graph"],
                "additionalProperties": False,
            },
        ]
    },
    "Started": _object(message=_TEXT, run_id=_TEXT),
    "Message": _object(message=_TEXT),
    "Diagram": _object(diagram=_TEXT),
    "Status": _object(pid=_WHOLE, base_url=_TEXT, data=_TEXT, version=_TEXT, runs=_WHOLE),
    "Error": _object(detail=_ANY),
    "Prune": {
        "type": "object",
        "properties": {"days": {"type": "number", "minimum": 0}, "keep": {**_WHOLE, "minimum": 0}},
        "anyOf": [{"required": ["days"]}, {"required": ["keep"]}],
    },
    "KnowledgeBase": {**_KNOWLEDGE_BASE, "properties": {**_KNOWLEDGE_BASE["properties"], **_DAMAGE}},
    "KnowledgeBaseWithDocuments": {
        **_KNOWLEDGE_BASE,
        "properties": {**_KNOWLEDGE_BASE["properties"], "documents": {"type": "array", "items": _DOCUMENT}},
    },
    "NewKnowledgeBase": {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": f"^{NAME.pattern}$"}, "description": _MAYBE_TEXT},
        "required": ["name"],
    },
    "Document": {
        **_DOCUMENT,
        "properties": {**_DOCUMENT["properties"], "replaced": {"type": "boolean"}, "guessed_encoding": _TEXT},
    },
    "NewDocument": {"anyOf": [_object(name=_NAME, text=_TEXT), _object(filename=_NAME, content=_TEXT)]},
    "Inputs": {"type": "object", "additionalProperties": True},
}
_ONE = {name: {"$ref": f"#/components/schemas/{name}"} for name in _SCHEMAS}
_ANSWERS: dict[str, Any] = {
    "list_workflows": _list_of("Workflow"),
    "get_workflow": _ONE["Workflow"],
    "upload": _ONE["Workflow"],
    "update": _ONE["Workflow"],
    "delete": _ONE["Workflow"],
    "diagram": _ONE["Diagram"],
    "execute": _ONE["Started"],
    "history": _list_of("Run"),
    "get_run": {**_list_of("Run"), "minItems": 1, "maxItems": 1},
    "steps": _list_of("Step"),
    "cancel": _ONE["Message"],
    "list_knowledge_bases": _list_of("KnowledgeBase"),
    "create_knowledge_base": _ONE["KnowledgeBase"],
    "get_knowledge_base": _ONE["KnowledgeBaseWithDocuments"],
    "delete_knowledge_base": _ONE["KnowledgeBaseWithDocuments"],
    "add_document": _ONE["Document"],
    "status": _ONE["Status"],
    "describe": _OBJECT,
    "prune": _object(pruned=_WHOLE),
}
_BODIES = {
    "upload": "Upload",
    "update": "Upload",
    "execute": "Inputs",
    "prune": "Prune",
    "create_knowledge_base": "NewKnowledgeBase",
    "add_document": "NewDocument",
}
_PARAMETERS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "history": [("query", "limit", {**_WHOLE, "default": 100}), ("query", "offset", {**_WHOLE, "default": 0})],
    "execute": [("header", "Idempotency-Key", _TEXT)],
    "get_run": [("header", "Prefer", _TEXT), ("header", "If-None-Match", _TEXT)],
}


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        method = next(iter((route.methods or set()) - {"HEAD"})).lower()
        paths.setdefault(route.path, {})[method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orchestra, embedded", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    name = route.endpoint.__name__
    in_path = [("path", one, _TEXT) for one in re.findall(r"{(\w+)}", route.path)]
    parameters = [
        {"in": where, "name": one, "schema": schema, "required": where == "path"}
        for where, one, schema in (*in_path, *_PARAMETERS.get(name, ()))
    ]
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": (route.endpoint.__doc__ or "").strip(),
        "parameters": parameters,
        "responses": {"200": _content(_ANSWERS[name]), "default": _content(_ONE["Error"])},
    }
    if name in _BODIES:
        operation["requestBody"] = {**_content(_ONE[_BODIES[name]]), "required": True}
        operation["requestBody"].pop("description")
    return operation


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": schema}}}
