"""The code node: a Python program whose last expression is its result."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from .. import references
from ..sandbox import code_references
from ..sandbox.execution import Limits, NotIsolatedError
from ..sandbox.runner import LOCAL, SANDBOXES, choose
from .base import Call, Node, NodeError, NodeType, Outcome

DEFAULT_TIMEOUT = 60.0
LONGEST = 200_000
"""Characters of a program: parsed it takes a thousand times the memory, and that is the server's."""


@lru_cache(maxsize=256)
def _parse(code: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with a program, and the paths of its references."""
    try:
        tree = ast.parse(code, "<code>")
        wrong = [
            f"line {line}: {references.no_reference(said)}; calculate outside of the braces"
            for line, said in code_references.misfits(tree)
        ]
        return tuple(wrong), tuple(code_references.find(tree))
    except SyntaxError as error:
        said = _explain(error)
    except (ValueError, RecursionError, MemoryError) as error:
        said = str(error) or "the code is nested too deeply"
    return (f"this is not Python: {said}",), ()


def _explain(error: SyntaxError) -> str:
    said, line, place = error.msg, error.text or "", error.offset or 0
    begin = line.rfind("{{", 0, place)
    end = line.find("}}", begin) + 2
    if 0 <= begin < place <= end and (path := next(references.find(line[begin:end]), None)):
        # It is a reference everywhere else, as {{mail.from}} is: from is a word of Python's own.
        said = f"{{{{{path}}}}} cannot stand in code; write such a key as {{{{row['from']}}}}, and rename such an input"
    return f"line {error.lineno}: {said}" if error.lineno else said  # a null byte stands in no line


class CodeNode(NodeType):
    """``metadata: {"code": "…", "timeout": 60, "sandbox": "local|bwrap|strict"}``."""

    name = "code"
    keeps_time = True

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for code that is missing or no Python."""
        del targets
        code = node.metadata.get("code")
        if not isinstance(code, str) or not code.strip():
            yield "code", "a code node needs its program here, as text"
        elif len(code) > LONGEST:
            yield (
                "code",
                f"the program is longer than {LONGEST} characters: give it data as an input, or install a package",
            )
        else:
            yield from (("code", fault) for fault in _parse(code)[0])
        asked = node.metadata.get("sandbox")
        if asked is not None and asked not in SANDBOXES:
            yield "sandbox", f"there is no sandbox {asked!r}; there are: {', '.join(SANDBOXES)}"

    def templates(self, node: Node) -> Iterator[tuple[str, Any]]:
        """Yield nothing: what stands in a program is Python, and :meth:`references` and :meth:`check` read it so."""
        del node
        return iter(())

    def references(self, node: Node) -> Iterator[tuple[str, str]]:
        """Yield the references in the program."""
        code = node.metadata.get("code")
        if isinstance(code, str) and len(code) <= LONGEST:
            yield from (("code", path) for path in _parse(code)[1])

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the program, and the values that its references stand for."""
        code = call.node.metadata["code"]
        values = {path: references.look_up(path, call.scope) for path in _parse(code)[1]}
        return {"code": code, "values": values, "timeout": _timeout(call.node)}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Run the program. What it raised is data: the run goes on, and the output says so."""
        limits = Limits(timeout=inputs["timeout"])
        run = call.services.sandbox.run
        try:
            chosen = choose(call.node.metadata.get("sandbox"), trusted=call.trusted)
            done = await run(inputs["code"], inputs["values"], limits, sandbox=chosen, trusted=call.trusted)
        except NotIsolatedError as refused:
            way = "" if call.trusted else "; or read the code, and upload the workflow again as trusted"
            raise NodeError(f"{refused}{way}") from None
        except OSError as refused:
            raise NodeError(f"no process could be started for the code: {refused}") from None
        error = done.error or done.stopped or ""
        good = not error
        data = {
            "results": done.results,
            "stdout": done.stdout,
            "stderr": done.stderr,
            "error": error,
            "sandbox_id": done.sandbox_id,
        }
        output = {"data": data, "error": done.stopped, "successfull": good, "successful": good}
        notes = {} if chosen == LOCAL else {"sandbox": chosen}
        return Outcome(output, error=error.splitlines()[-1] if error else None, notes=notes)


def _timeout(node: Node) -> float:
    return float(node.metadata.get("timeout") or DEFAULT_TIMEOUT)
