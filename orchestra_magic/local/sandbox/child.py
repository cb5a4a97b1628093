"""What runs inside the sandbox: one program, once.

Started as ``python -I -S`` by :mod:`.runner`, without the package around it: it needs the standard library alone.
It reads two lines from its standard input, each a JSON object: how it is confined, which it does at once, and
the request, for which it may wait long. What came of it goes as a line over a pipe of its own, so that nothing
the program prints is taken for its result.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import types
from typing import Any

import calls  # type: ignore[import-not-found]  # these stand beside this file, not in a package
import capabilities  # type: ignore[import-not-found]
import code_references  # type: ignore[import-not-found]
import landlock  # type: ignore[import-not-found]
import results  # type: ignore[import-not-found]

_FILE = "<code>"
_OURS = ("calls", "capabilities", "child", "code_references", "landlock", "removal", "results", "supervisor")
_ERROR_LENGTH = 8000


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
        except (ValueError, OSError, OverflowError):  # macOS refuses some; none takes a number beyond its own
            continue


def run(code: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run a program and return its ``results``, the value of its last expression, and its ``error``."""
    # A module like any other: what is pickled, and what a pool of processes is given, is found in it by its name.
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = vars(module)
    namespace.update({"__builtins__": __builtins__, code_references.VALUES: values})
    try:
        tree = code_references.fill(ast.parse(code, _FILE), values)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        # Not with what this file imports from __future__.
        program = compile(tree, _FILE, "exec", dont_inherit=True)
        exec(program, namespace)  # noqa: S102  (this is what a code node is)
        value = None
        if last is not None:
            value = eval(compile(last, _FILE, "eval", dont_inherit=True), namespace)  # noqa: S307
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
    # The last one begins with the type of the error, and is to be seen whole or from its beginning on.
    return shorten("".join(shorten(line, _ERROR_LENGTH // 4) for line in lines), _ERROR_LENGTH).strip()


def shorten(text: str, length: int) -> str:
    """Return the beginning and the end of what is longer than ``length``."""
    half = length // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]} … {left_out} characters were left out … {text[-half:]}" if left_out > 0 else text


def flush(stream: Any) -> None:
    """Flush what the program may have closed, or replaced by anything."""
    try:
        stream.flush()
    except BaseException:  # noqa: BLE001
        return


def main(pipe: int) -> None:
    """Serve one request and end the process, whatever threads the program left behind."""
    stream = sys.stdin.buffer
    os.set_inheritable(pipe, False)
    prepare(json.loads(stream.readline()))
    line = stream.readline()
    if not line:
        os._exit(0)
    request = json.loads(line)
    stream.close()
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  (open until the end)
    limit(request["limits"])
    outcome = results.encode(run(request["code"], request["values"]))
    for printed in (sys.stdout, sys.stderr):
        flush(printed)
    with os.fdopen(pipe, "wb") as file:
        file.write(outcome + b"\n")
    os._exit(0)


def prepare(setup: dict[str, Any]) -> None:
    """Do ahead what need not wait for the request: give up access, and go the way once."""
    sys.argv = [_FILE]
    sys.path += setup["path"]
    for name in _OURS:
        # A program that imports one of these means a package of that name.
        sys.modules.pop(name, None)
    access = setup["access"]
    if access:
        network = access["network"]
        landlock.restrict(access["readable"], access["writable"], network=network, shared=access["shared"])
        calls.restrict(network=network, sockets=access["sockets"])
        capabilities.drop()
    limit({})
    # What was done once is quicker the second time: its memory is this process's own by then.
    results.encode(run("None", {}))
