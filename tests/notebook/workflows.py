"""The workflow that the scripted server has, in the shapes of the API."""

from __future__ import annotations

from typing import Any

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
RUN = "fda37c90-dd1c-4317-82d1-797b7f77fca5"
STARTED = {"message": "Workflow execution started", "run_id": RUN}
EXECUTE, STATE, STEPS = f"/workflows/{WF}/execute", f"/workflows/{WF}/runs/{RUN}", f"/workflows/{WF}/runs/{RUN}/steps"


def run_json(status: str = "completed", **members: Any) -> list[dict[str, Any]]:
    """A run as the service gives it: a list of one."""
    ended = None if status in {"queued", "running"} else "2025-04-24T03:18:13.048954Z"
    return [{"id": RUN, "status": status, "start_time": "2025-04-24T03:18:12.322630Z", "end_time": ended, **members}]


def workflow_json(**members: Any) -> dict[str, Any]:
    """A workflow as it is listed; ``inputs`` are what its graph declares."""
    inputs = members.pop("inputs", {"prompt": {"type": "string", "required": False}})
    graph = {"nodes": {}, "edges": [], "input_data": inputs}
    return {
        "workflow_id": WF,
        "name": "Say hi",
        "description": "Greets.",
        "status": "active",
        "graph": graph,
        **members,
    }
