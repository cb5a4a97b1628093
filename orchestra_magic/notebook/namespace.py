"""Names in the user's namespace: checked before anything is sent, bound before anything is waited for."""

from __future__ import annotations

import builtins
import keyword
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraUsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def checked(name: str, option: str) -> str:
    """Return ``name`` if a variable can have it, or raise: a run must never be bound out of reach.

    Raises
    ------
    OrchestraUsageError
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        kind = "a keyword of Python" if keyword.iskeyword(name) else "no name that a variable can have"
        hint = name.replace("-", "_").replace(" ", "_")
        near = f" such as {hint}" if hint.isidentifier() and not keyword.iskeyword(hint) else ""
        raise OrchestraUsageError(f"{option} {name}: {name!r} is {kind}. Choose another{near}. Nothing was sent.")
    return name


def bind(shell: InteractiveShell, values: Mapping[str, Any], tell: Callable[[str], object] | None = None) -> None:
    """Bind names in the notebook, with a warning by ``tell`` where that hides a builtin."""
    for name in values:
        if hasattr(builtins, name) and name not in shell.user_ns:
            (tell or notice)(f"The name {name} hides Python's own {name}(); `del {name}` brings it back.")
    shell.push(dict(values))  # type: ignore[no-untyped-call]


def notice(sentence: str) -> None:
    """Say something on the error stream of the cell: Python's own warnings would show our source line."""
    sys.stderr.write(f"Notice: {sentence}\n")


def expanded(word: str, namespace: Mapping[str, Any], what: str) -> Any:
    """Return the variable that ``$name`` or ``{name}`` means, any other word as it is.

    Raises
    ------
    OrchestraUsageError
        If there is no such variable.
    """
    if word.startswith("$"):
        name = word[1:]
    elif word.startswith("{") and word.endswith("}"):
        name = word[1:-1]
    else:
        return word
    if name not in namespace:
        raise OrchestraUsageError(f"{what} {word}: there is no variable {name!r} in this notebook. Nothing was sent.")
    return namespace[name]
