"""What a form would send, as the text of a cell that sends the same.

Each input is one line of YAML whose value is JSON, or plain text where that is safe. The text is read again by
the parser of the magic before it is given away: a cell that would send anything else is never shown.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ..client.inputs import parse
from ..client.secrecy import Secret
from ..errors import OrchestraInputError, OrchestraUsageError

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _,./()-]*(?<! )|\$[A-Za-z_][A-Za-z0-9_.]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTION = re.compile(r"[A-Za-z0-9_./-]+")


def cell(word: str, said: Mapping[str, Any], *, options: Mapping[str, Any]) -> str:
    """Return the cell for a workflow and what is said of its inputs.

    Parameters
    ----------
    word : str
        The workflow, as the magic's line names it.
    said : Mapping[str, Any]
        The inputs as the body of a cell says them; a :class:`Secret` becomes a variable.
    options : Mapping[str, Any]
        Options of the line and their values; True for those that take none.

    Raises
    ------
    OrchestraUsageError
        If no cell can say it.
    """
    names = _variables(said)
    body = {name: f"${names[name]}" if name in names else value for name, value in said.items()}
    notes = [_note(var) for var in names.values()]
    text = "".join(f"{line}\n" for line in [*notes, *map(_line, body.items())])
    if _says(text, body):
        return f"%%{_first(word, options)}\n{text}"
    text = _escaped(json.dumps(body, ensure_ascii=False, indent=2), "\\u{:04x}") + "\n"
    if not _says(text, body):
        raise OrchestraUsageError("No cell can say what stands in the form. Send it by form.submit().")
    return f"%%{_first(word, options)}\n{text}"


def quoted(word: str) -> str | None:
    """Return a word as the line of a magic names it, None where it cannot."""
    if _OPTION.fullmatch(word) and not word.startswith("-"):
        return word
    if not word or not word.isprintable() or word[0] in "${-" or word != word.strip():
        return None
    return next((f"{quote}{word}{quote}" for quote in "'\"" if quote not in word), None)


def _note(variable: str) -> str:
    return f"# {variable} is a secret, so bind it before: import getpass; {variable} = getpass.getpass()"


def _first(word: str, options: Mapping[str, Any]) -> str:
    said = [f"--{name}" if value is True else f"--{name} {value}" for name, value in options.items() if value]
    return " ".join(["orchestra_execute", word, *said])


def _variables(said: Mapping[str, Any]) -> dict[str, str]:
    """Return a variable for each secret, named as its input."""
    found: dict[str, str] = {}
    for name, value in said.items():
        if isinstance(value, Secret):
            start = re.sub(r"\W", "_", name, flags=re.ASCII)
            var = start if start.isidentifier() else f"secret_{start}"
            while var in found.values():
                var += "_"
            found[name] = var
    return found


def _line(member: tuple[str, Any]) -> str:
    name, value = member
    key = name if _KEY.fullmatch(name) and name.lower() not in _WORDS else _yaml(name)
    return f"{key}: {_yaml(value)}"


def _yaml(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 80 and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _escaped(json.dumps(value, ensure_ascii=False), None)


def _escaped(text: str, form: str | None) -> str:
    """Escape in JSON text what an editor would not show, or would show elsewhere."""
    return "".join(c if c == "\n" or not _unseen(c) else _escape(c, form) for c in text)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escape(character: str, form: str | None) -> str:
    if form is None:  # YAML has a long form, and takes no pairs of halves
        return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(form.format(int.from_bytes(units[n : n + 2], "big")) for n in range(0, len(units), 2))


def _says(text: str, body: Mapping[str, Any]) -> bool:
    """Whether the text of a cell is read as these inputs, down to the order and the kinds of numbers."""
    try:
        return json.dumps(parse(text)) == json.dumps(body)
    except OrchestraInputError:
        return False
