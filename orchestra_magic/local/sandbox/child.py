"""What runs inside the sandbox: one program, once.

Started as ``python -I -S`` by :mod:`.runner`, without the package around it: it needs the standard library alone.
It reads the request, a JSON object, from its standard input, and writes what came of it to a pipe of its own,
so that nothing the program prints is taken for its result.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from typing import Any

import code_references  # type: ignore[import-not-found]  # stands beside this file, not in a package
import landlock  # type: ignore[import-not-found]

_FILE = "<code>"
_ERROR_LENGTH = 8000
_REPR_LENGTH = 10_000


def limit(limits: dict[str, int]) -> None:
    """Lower what this process may use. What a system does not know is left out."""
    try:
        import resource
    except ImportError:
        return
    for name, value in limits.items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        hard = resource.getrlimit(which)[1]
        amount = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(which, (amount, amount))
        except (ValueError, OSError):  # macOS refuses some
            continue


def run(code: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run a program and return its ``results``, the value of its last expression, and its ``error``."""
    namespace: dict[str, Any] = {
        "__name__": "__main__",
        "__builtins__": __builtins__,
        code_references.VALUES: values,
    }
    try:
        tree = code_references.fill(ast.parse(code, _FILE), values)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, _FILE, "exec"), namespace)  # noqa: S102  (this is what a code node is)
        value = None if last is None else eval(compile(last, _FILE, "eval"), namespace)  # noqa: S307
    except SystemExit as error:
        failed = error.code not in (None, 0)
        return {"results": None, "error": f"SystemExit: {error.code}" if failed else ""}
    except BaseException as error:  # noqa: BLE001  (whatever the program raised is its result)
        return {"results": None, "error": describe(error, code)}
    return {"results": value, "error": ""}


def describe(error: BaseException, code: str) -> str:
    """Return the traceback as the author of the program knows it: without our own frames."""
    # Only a program that failed pays for these.
    import linecache
    import traceback

    linecache.cache[_FILE] = (len(code), None, code.splitlines(keepends=True), _FILE)
    frame = error.__traceback__
    while frame and frame.tb_frame.f_code.co_filename != _FILE:
        frame = frame.tb_next
    lines = traceback.format_exception(type(error), error, frame)
    return "".join(lines)[-_ERROR_LENGTH:].strip()


def encode(outcome: dict[str, Any]) -> bytes:
    """Return the outcome as JSON; a value that JSON cannot hold goes as its ``repr``, and is said to."""
    try:
        return json.dumps(outcome, allow_nan=False, default=as_json).encode()
    except BaseException:  # noqa: BLE001  (the value is the program's own, and so is what it raises)
        value = outcome["results"]
    kind = type(value).__name__
    try:
        shown = repr(value)[:_REPR_LENGTH]
    except BaseException:  # noqa: BLE001
        shown = f"<{kind}>"
    note = f"the last value, a {kind}, is not JSON and stands here as text\n"
    return json.dumps({**outcome, "results": shown, "note": note}).encode()


def as_json(value: Any) -> Any:
    """Return sets, dates, arrays and data frames as JSON has them; raise for anything else."""
    if isinstance(value, set | frozenset):
        return list(value)
    for method, arguments in (("isoformat", {}), ("to_dict", {"orient": "records"}), ("tolist", {})):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert(**arguments)
    raise TypeError(type(value).__name__)


def flush(stream: Any) -> None:
    """Flush what the program may have closed, or replaced by anything."""
    try:
        stream.flush()
    except BaseException:  # noqa: BLE001
        return


def main(result: int) -> None:
    """Serve one request and end the process, whatever threads the program left behind."""
    request = json.loads(sys.stdin.buffer.read())
    os.set_inheritable(result, False)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  (open until the end)
    sys.argv = [_FILE]
    sys.path += request["path"]
    limit(request["limits"])
    access = request["access"]
    if access:
        landlock.restrict(access["readable"], access["writable"], network=access["network"])
    outcome = encode(run(request["code"], request["values"]))
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    with os.fdopen(result, "wb") as pipe:
        pipe.write(outcome)
    os._exit(0)
