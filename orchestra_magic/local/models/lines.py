"""The inside of a process that answers questions: JSON objects, a line each, over its standard input and output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def serve(load: Callable[[], Answer]) -> None:
    """Answer every line until there are no more. What a library prints on the way is no answer.

    Parameters
    ----------
    load : Callable[[], Answer]
        Loads the model, at the first question, and returns what answers.
    """
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answer: Answer | None = None
    for line in sys.stdin:
        try:
            answer = answer or load()
            said = answer(json.loads(line))
        except Exception as error:  # noqa: BLE001  (whatever a library makes of it)
            said = {"failed": str(error) or type(error).__name__}
        output.write(json.dumps(said) + "\n")
        output.flush()
