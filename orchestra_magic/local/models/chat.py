"""The process of the small model: chat completions by llama.cpp."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import lines
from .catalog import SMOLLM2

CONTEXT = 4096


def load() -> lines.Answer:
    """Load the weights at the path of the command, tested once more.

    Return what answers ``{"call"}`` with ``{"status", "body"}``.
    """
    import xllamacpp  # an extra

    weights = Path(sys.argv[1])
    if not SMOLLM2.intact(weights):
        raise ValueError(f"{weights} is not what was added: orchestra-local models add {SMOLLM2.name}")
    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx = CONTEXT
    # Its threads wait for each other in a busy loop: with all cores taken, two are slower than one.
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)
    # It is asked within this process, and yet it always listens: on a socket whose only name goes with this folder.
    with tempfile.TemporaryDirectory() as folder:
        parameters.hostnames = [f"{folder}/nobody.sock"]
        server: Any = xllamacpp.Server(parameters)

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        try:
            body = server.handle_chat_completions(question["call"])
        except ValueError as error:
            body = {"error": {"code": 400, "message": str(error)}}
        refusal = body.get("error")
        return {"status": int(refusal.get("code", 500)) if isinstance(refusal, dict) else 200, "body": body}

    return answer


if __name__ == "__main__":
    lines.serve(load)
