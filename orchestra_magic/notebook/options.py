"""The line of a magic: shared options, a parser whose errors are our own, and the decorators that use them."""

from __future__ import annotations

import argparse
import difflib
import functools
import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import line_cell_magic, line_magic, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from ..errors import OrchestraUsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(*names: str, **said: Any) -> Decorator:
    """Describe one argument or option of a magic, in argparse's words."""
    made: Decorator = argument(*names, **said)  # type: ignore[no-untyped-call]
    return made


def seconds(word: str) -> float:
    """Return a time to wait, or raise what argparse turns into its error."""
    try:
        given = float(word)
    except ValueError:
        given = -1.0
    if not given >= 0:  # nan is no time either
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds")
    return given


WORKFLOW = option("workflow", help="Id of the workflow, or its name; $name takes it from a variable.")
RUN = (
    option("run", nargs="?", help="Id of the run, or its start, or $name for a variable (default: the last one)."),
    option("--workflow", metavar="W", help="The run's workflow, where this computer does not know it."),
)
STARTING = (
    option("--run-id", metavar="NAME", default="run_id", help="Variable for the run id (default: run_id)."),
    option("-o", "--out", metavar="NAME", help="Variable for the run itself."),
    option("--outputs", metavar="NAME", help="Wait, and bind what the run gave to this variable."),
    option("-w", "--wait", action="store_true", help="Wait until the run is over, and show its outputs."),
    option("--timeout", metavar="SECONDS", type=seconds, help="Wait at most so long; the run goes on."),
    option("--file", metavar="PATH", help="Read the inputs from this file instead of the cell."),
    option("--format", choices=["auto", "yaml", "json"], default="auto", help="How to read the inputs."),
    option("--raw", action="store_true", help="Leave $name as it stands."),
    option("--strict", action="store_true", help="A missing or misspelt input is an error, not a warning."),
    option("--dry-run", action="store_true", help="Show the exact request, and send nothing."),
    option("--reuse", action="store_true", help="Take an earlier run with the same inputs instead of a new one."),
    option("-q", "--quiet", action="store_true", help="Show nothing."),
)
_HELP = option("--help", action="store_true", help="Show this help.")


def line_options(*options: Decorator) -> Decorator:
    """Make a line magic of a method that takes parsed options: ``method(self, options)``."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def magic(self: Any, line: str) -> Any:
            parsed = parse(described, line, self.shell)
            return None if parsed is None else method(self, parsed)

        described = _described(line_magic(magic), options)
        return described

    return decorate


def cell_options(*options: Decorator) -> Decorator:
    """Make a line and cell magic of a method: ``method(self, options, cell)``, ``cell`` None for a line."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def magic(self: Any, line: str, cell: str | None = None) -> Any:
            parsed = parse(described, line, self.shell)
            return None if parsed is None else method(self, parsed, cell)

        described = _described(line_cell_magic(magic), options)
        return described

    return decorate


def _described(magic: Callable[..., Any], options: tuple[Decorator, ...]) -> Callable[..., Any]:
    for each in reversed((*options, _HELP)):
        magic = each(magic)
    # IPython's own expansion of the line is silent and all or nothing: ours names what is missing.
    described: Callable[..., Any] = no_var_expand(magic_arguments()(magic))  # type: ignore[no-untyped-call]
    return described


def parse(magic: Any, line: str, shell: InteractiveShell) -> argparse.Namespace | None:
    """Return the options of a magic's line, or None when help was asked for and shown.

    Raises
    ------
    OrchestraUsageError
        If the line is not what the magic takes: with the near option where one was misspelt.
    """
    parser: argparse.ArgumentParser = magic.parser
    parser.allow_abbrev = False  # an option that is added later must not change what a saved notebook means
    name = magic.__name__
    words = split(line, name)
    if "--help" in words:
        shell.run_line_magic("pinfo", f"%{name}")
        return None
    try:
        return parser.parse_args(words)
    except UsageError as error:
        said = str(error)
    raise OrchestraUsageError(f"{_plain(said, parser)} Nothing was sent; `%{name}?` shows the options.")


def split(line: str, name: str) -> list[str]:
    """Split a line into words as a shell does, but for backslashes: they stand in paths."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise OrchestraUsageError(
            f"A quote is not closed in the line of {name}: {line.strip()}. Nothing was sent."
        ) from None


def _plain(said: str, parser: argparse.ArgumentParser) -> str:
    """Return what argparse said in a sentence that tells what to do."""
    unknown = re.match(r"unrecognized arguments: (.*)", said)
    if not unknown:
        missing = re.match(r"the following arguments are required: (.*)", said)
        return f"{missing.group(1).upper()} is missing." if missing else said[:1].upper() + said[1:] + "."
    words = unknown.group(1).split()
    first = words[0].split("=")[0]
    options = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001
    if not first.startswith("-"):
        if "--raw" in options and re.search("[={:]", words[0]):
            return f"Inputs such as {' '.join(words)!r} stand in the cell below the %% line, as `name: value`."
        return f"{' '.join(words)!r} is one word too many. A name with blanks goes in quotes."
    near = difflib.get_close_matches(first, options, n=1)
    return f"There is no option {first}." + (f" Did you mean {near[0]}?" if near else "")
