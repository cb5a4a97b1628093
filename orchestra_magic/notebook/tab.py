"""The Tab key: IPython is told whom to ask.

IPython from 8.6 asks a matcher, on the line and in the body; before that it asks a hook, on the line alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core import completer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .completion import Found
    from .magics import OrchestraMagics

    Ask = Callable[[str, int, int], Found]

NAME = "orchestra_magic"
LINES = re.compile(r".*?\borchestra_\w+\s")


def install(shell: InteractiveShell, magics: OrchestraMagics) -> None:
    """Have the shell ask for completions of the magics."""
    ask = _lazily(shell, magics)
    if hasattr(completer, "context_matcher"):
        shell.Completer.custom_matchers.append(_matcher(ask))
    else:
        shell.set_hook("complete_command", _hook(ask), re_key=LINES)  # type: ignore[no-untyped-call]


def remove(shell: InteractiveShell) -> None:
    """Take out what :func:`install` put in."""
    matchers = getattr(shell.Completer, "custom_matchers", None)
    if matchers is not None:
        matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", "") != NAME]
    hooks = shell.strdispatchers.get("complete_command")
    if hooks is not None:
        hooks.regexs.pop(LINES, None)


def _lazily(shell: InteractiveShell, magics: OrchestraMagics) -> Ask:
    """Answer by what is loaded at the first Tab: most sessions begin without one."""

    def ask(cell: str, row: int, column: int) -> Found:
        from .completion import Completion

        return Completion(shell, magics)(cell, row, column)

    return ask


def _matcher(ask: Ask) -> Callable[..., Any]:
    def matcher(context: completer.CompletionContext) -> dict[str, Any]:
        found = ask(context.full_text, context.cursor_line, context.cursor_position)
        # Where nothing is known what was typed stays: names of Python, which IPython offers else, are no help.
        texts = found.texts or ([found.typed] if found.typed else [])
        return {
            "completions": [completer.SimpleCompletion(text, type=found.kind) for text in texts],
            "matched_fragment": found.typed,
            "suppress": True,
            "ordered": True,
        }

    described: Callable[..., Any] = completer.context_matcher(identifier=NAME, priority=100)(matcher)
    return described


def _hook(ask: Ask) -> Callable[..., Any]:
    def hook(_: InteractiveShell, event: Any) -> list[str]:
        found = ask(event.text_until_cursor, 0, len(event.text_until_cursor))
        # This completer replaces its own idea of a word, which is the end of ours.
        start = len(found.typed) - len(event.symbol)
        return [text[start:] for text in found.texts if start >= 0 and text.startswith(found.typed)]

    return hook
