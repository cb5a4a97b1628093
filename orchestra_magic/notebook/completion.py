"""Tab completion for the magics: workflows, options, files, runs, inputs and variables.

It never raises, and waits a second at most for a server that is slow.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import journal, settings
from ..client.run import Run
from ..client.workflow import Workflow
from . import cursor
from .cursor import Inside, Key, Variable, Word

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .magics import OrchestraMagics

log = logging.getLogger("orchestra_magic")

MOST = 500
RUNS = 10
_PLAIN_WORD = re.compile(r"[\w@.:/+~-]+")
_PLAIN_KEY = re.compile(r"[^\W\d][\w.-]*(?: [\w.-]+)*")
_NO_KEY = {"true", "false", "null"}
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")
_NO_VALUES = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


@dataclass(frozen=True)
class Found:
    """What may stand in place of ``typed``, in the order to show it."""

    typed: str = ""
    texts: Sequence[str] = ()
    kind: str = ""


class Completion:
    """Answers what may stand at a cursor in ``shell``."""

    def __init__(self, shell: InteractiveShell, magics: OrchestraMagics) -> None:
        self._shell = shell
        self._magics = magics

    def __call__(self, cell: str, row: int, column: int) -> Found:
        """Return what may stand there: nothing where anything goes wrong."""
        try:
            here = cursor.place(cell, row, column)
            if isinstance(here, Inside):
                return self._inside(here)
            return self._word(here) if here else Found()
        except Exception as error:  # noqa: BLE001  (typing goes on, whatever a server or a variable does)
            log.debug("no completion: %s", type(error).__name__)
            return Found()

    def _word(self, word: Word) -> Found:
        parser = self._parser(word.magic, "cell" if word.of_cell else "line")
        if parser is None:
            return Found()
        options = {name: action for action in parser._actions for name in action.option_strings}  # noqa: SLF001
        action = _awaited(word, parser)
        name, is_value, value = word.typed.partition("=")
        if is_value and name in options:
            return self._value(options[name], value, word)
        if action is not None and (action.option_strings or not word.typed.startswith("-")):
            return self._value(action, word.typed, word)
        if word.typed and not word.typed.startswith("-"):
            return Found(word.typed)
        used = {options[said].dest for each in (*word.before, *word.after) if (said := each.split("=")[0]) in options}
        free = [each for each, action in options.items() if each.startswith("--") and action.dest not in used]
        return Found(word.typed, [each for each in free if each.startswith(word.typed)], "option")

    def _value(self, action: argparse.Action, typed: str, word: Word) -> Found:
        """Return what an option or argument takes, by what it is called in its parser."""
        if action.choices:
            return _fitting(typed, map(str, action.choices), "value")
        if typed.startswith(("$", "{")):
            ending = "}" if typed[0] == "{" else ""
            names = self._variables(lambda value: isinstance(value, str | Workflow | Run | os.PathLike | Mapping))
            return Found(typed, [typed[0] + name + ending for name in names if name.startswith(typed[1:])], "variable")
        if action.dest == "workflow":
            return _fitting(typed, _names(self._magics.orchestra.glance()), "workflow")
        if action.dest == "run":
            return _fitting(typed, _runs(self._magics.orchestra.base_url), "run")
        if action.dest == "where":
            return _fitting(typed, [settings.LOCAL], "server")
        if action.dest == "over":
            return _fitting(typed, self._variables(), "variable")
        if action.dest == "file" or (action.dest == "source" and not word.of_cell):
            return Found(typed, list(_files(typed)), "path")
        return Found(typed)

    def _inside(self, here: Inside) -> Found:
        parser = self._parser(here.magic, "cell")
        if parser is None:
            return Found()
        variable = None if "--raw" in here.words else cursor.variable(here.before, here.after)
        if variable is not None:
            return self._variable(variable)
        key = cursor.key(here.before, here.after, _said(here.words, "--format") or "auto")
        if key is None:
            return Found(here.before.split()[-1] if here.before[-1:].strip() else "")
        workflow = self._workflow(here, parser)
        inputs = () if workflow is None else workflow.named_inputs
        return Found(key.typed, list(_keys(key, [each.name for each in inputs])), "input")

    def _workflow(self, here: Inside, parser: argparse.ArgumentParser) -> Workflow | None:
        """Return the workflow that the cell's first line names, as far as it is known."""
        said: Any = _positional(here.words, parser, "workflow")
        if said and said[0] in "${":
            said = self._shell.user_ns.get(said.strip("${}"))
        if isinstance(said, Workflow):
            return said
        known = self._magics.orchestra.glance()
        by_id = [each for each in known if each.id == said]
        return next(iter(by_id or [each for each in known if each.name == said]), None)

    def _variable(self, asked: Variable) -> Found:
        if asked.name:
            value = _walk(self._shell.user_ns.get(asked.name), asked.steps)
            names = [name for name in _parts(value) if asked.end or re.fullmatch(r"\w+", name)]
            return Found(asked.typed, [name + asked.end for name in names if name.startswith(asked.typed)], "variable")
        name = asked.typed.lstrip("${")
        start = "${" if asked.braced else "$"
        names = [each for each in self._variables() if each.startswith(name)]
        return Found(asked.typed, [start + each + asked.end for each in names], "variable")

    def _variables(self, fits: Callable[[Any], bool] = lambda _: True) -> list[str]:
        """Return the names of the person's own values."""
        hidden = self._shell.user_ns_hidden
        return sorted(
            name
            for name, value in list(self._shell.user_ns.items())
            if name.isidentifier()
            and not name.startswith("_")
            and not isinstance(value, _NO_VALUES)
            and hidden.get(name, self) is not value
            and fits(value)
        )

    def _parser(self, magic: str, kind: str) -> argparse.ArgumentParser | None:
        return getattr(self._shell.find_magic(magic, kind), "parser", None)  # type: ignore[no-untyped-call]


def _awaited(word: Word, parser: argparse.ArgumentParser) -> argparse.Action | None:
    """Return the option or argument whose value is being typed, None where an option may stand."""
    options, arguments = _split(parser)
    waiting = None
    for each in word.before:
        if waiting is not None:
            waiting = None
        elif each in options:
            waiting = options[each] if options[each].nargs != 0 else None
        elif not each.startswith("-"):
            arguments = arguments[1:]
    return waiting or next(iter(arguments), None)


def _positional(words: Sequence[str], parser: argparse.ArgumentParser, dest: str) -> str:
    options, arguments = _split(parser)
    place = next((n for n, action in enumerate(arguments) if action.dest == dest), len(words))
    values = [
        each
        for before, each in zip(("", *words), words, strict=False)
        if not each.startswith("-") and (before not in options or options[before].nargs == 0)
    ]
    return values[place] if place < len(values) else ""


def _split(parser: argparse.ArgumentParser) -> tuple[dict[str, argparse.Action], list[argparse.Action]]:
    actions = parser._actions  # noqa: SLF001  (argparse has no public list)
    options = {name: action for action in actions for name in action.option_strings}
    return options, [action for action in actions if not action.option_strings]


def _said(words: Sequence[str], option: str) -> str:
    """Return the value that a line gives to a long option."""
    for before, each in zip(("", *words), words, strict=False):
        if before == option or each.startswith(f"{option}="):
            return each.removeprefix(f"{option}=")
    return ""


def _fitting(typed: str, names: Iterable[str], kind: str) -> Found:
    """Return those that begin as typed, in upper or lower case, as they have to stand on a line."""
    start = cursor.bare(typed).casefold()
    quote = typed[:1] if typed[:1] in {"'", '"'} else ""
    written = (_quoted(name, quote) for name in dict.fromkeys(names) if name.casefold().startswith(start))
    return Found(typed, [text for text in written if text][:MOST], kind)


def _quoted(name: str, quote: str = "") -> str:
    """Return ``name`` as one word of a line, empty where it cannot be one.

    What a server calls a workflow is put into a cell: it must not bring a line, a variable or a trick along.
    """
    if not name.isprintable() or len(name) > 200 or not name or name[0] in "-${":
        return ""
    if not quote and _PLAIN_WORD.fullmatch(name):
        return name
    usable = [each for each in (quote, "'", '"') if each and each not in name]
    return f"{usable[0]}{name}{usable[0]}" if usable else ""


def _names(workflows: Sequence[Workflow]) -> Iterator[str]:
    """Give what names a workflow: its name where no other has it, and its id."""
    count = Counter(each.name for each in workflows)
    yield from (each.name for each in workflows if count[each.name] == 1)
    yield from (each.id for each in workflows)


def _runs(base_url: str) -> list[str]:
    """Return the runs that this computer started last on a server."""
    entries = [each for each in journal.entries() if each.base_url == base_url]
    return list(dict.fromkeys(each.run_id for each in reversed(entries) if each.run_id))[:RUNS]


def _files(typed: str) -> Iterator[str]:
    """Give the folders and files that begin as typed, as they have to stand on a line."""
    quote = typed[:1] if typed[:1] in {"'", '"'} else ""
    folder, slash, start = cursor.bare(typed).rpartition("/")
    try:
        found = [each for each in Path(folder + slash).expanduser().iterdir() if each.name.startswith(start)]
    except (OSError, RuntimeError):  # no such folder, or a home of nobody
        return
    for is_file, name in sorted((not each.is_dir(), each.name) for each in found[:MOST]):
        if name.startswith(".") and not start.startswith("."):
            continue
        written = _quoted(folder + slash + name + ("" if is_file else "/"), quote)
        # The quote of a folder stays open: one of its files comes next.
        yield from [written if is_file else written.rstrip("\"'")] if written else []


def _keys(key: Key, names: Iterable[str]) -> Iterator[str]:
    """Give the inputs that are not in the body yet, each with what comes between it and its value."""
    start = key.typed.lstrip("\"'").casefold()
    for name in names:
        if not name.casefold().startswith(start) or name in key.others or not name.isprintable():
            continue
        written = json.dumps(name, ensure_ascii=False)
        if key.quoted:
            yield written[:-1] + key.ending
        else:
            plain = _PLAIN_KEY.fullmatch(name) and name.casefold() not in _NO_KEY
            yield (name if plain else written) + key.ending


def _walk(value: Any, steps: str) -> Any:
    """Follow a path through plain containers: nothing that computes is asked."""
    for dotted, bracketed in _STEP.findall(steps):
        if type(value) in {list, tuple}:
            value = value[int(bracketed)]
        elif isinstance(value, dict):
            value = dict.get(value, dotted or bracketed)
        else:
            value = vars(value).get(dotted)
    return value


def _parts(value: Any) -> list[str]:
    """Return the keys of a mapping or a table, or what an object keeps in itself."""
    if isinstance(value, dict):
        found: Iterable[Any] = dict.keys(value)
    elif type(value).__name__ == "DataFrame":
        found = value.columns
    else:
        found = vars(value)
    return [each for each in found if isinstance(each, str) and each.isprintable() and not each.startswith("_")]
