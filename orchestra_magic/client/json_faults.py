"""What to do about a text that is no JSON, in words that need no documentation."""

from __future__ import annotations

import json
import re

from ..errors import OrchestraInputError
from .body import Body
from .json_text import TOKEN

__all__ = ["explain"]

_WORDS = {
    "True": "true",
    "False": "false",
    "TRUE": "true",
    "FALSE": "false",
    "None": "null",
    "NULL": "null",
    "Null": "null",
    "undefined": "null",
    "nil": "null",
}
_WORD = re.compile(r"[^\W\d][\w.-]*")
_VARIABLE = re.compile(r"\$\{[^}\n]*\}|\$[^\W\d]\w*(?:\.\w+|\[[^\]\n]*\])*")
_NUMBER = re.compile(r"[-+.]?[0-9][0-9a-zA-Z_.+-]*")
_TEMPLATE = re.compile(r"\{\{[^\n{}]*\}\}")
_COMMENTS = ("//", "/*", "#")
_COMMENT = "JSON has no comments: remove this one, or write the body as YAML, where # begins one."


def explain(body: Body, error: json.JSONDecodeError) -> OrchestraInputError:
    """Build the error for what ``json.loads`` did not take."""
    start = len(body.text) - len(body.text.lstrip())
    if body.text[start] == "[":
        # whatever is wrong inside: YAML's own lists begin like this as well, and neither is a body
        return body.error(start, "The body begins as a list, and inputs have names: write `name: ` before it.")
    index, reason = _diagnosis(body.text, error.msg, error.pos)
    return body.error(index, reason)


def _diagnosis(text: str, message: str, index: int) -> tuple[int, str]:
    if message.startswith("Unterminated string"):
        return index, 'This text is never closed: add `"` where it ends.'
    if message.startswith("Invalid control character"):
        return index, _control(text[index])
    if message.startswith("Invalid \\"):
        return _escape(text, index)
    if message.startswith("Extra data"):
        return index, _extra(text, index)
    # 3.13 points at the comma itself, with a message of its own
    if re.match(r",\s*[\]}]", text[index:]):
        return index, _trailing(text, index)
    index += len(text[index:]) - len(text[index:].lstrip(" \t\r\n"))
    if index == len(text):
        return _ends_early(text)
    return _unexpected(text, message, index)


def _unexpected(text: str, message: str, index: int) -> tuple[int, str]:
    """Say what to do about a character that stands where something else should."""
    before, rest = text[:index].rstrip(" \t\r\n"), text[index:]
    if rest.startswith(_COMMENTS):
        return index, _COMMENT
    if before.endswith(",") and rest[0] in "]}":
        return len(before) - 1, _trailing(text, len(before) - 1)
    if rest[0] in "'`\u2018\u2019\u201c\u201d\u201e":
        return index, f'JSON quotes text with ", not with {rest[0]}: replace the quotes around it.'
    if message.startswith("Expecting property name"):
        return index, _no_key(text, index)
    if message.startswith("Expecting ':'"):
        return index, f"A colon must stand between a key and its value: write `: ` before {_shown(rest)}."
    if message.startswith("Expecting ','"):
        return _no_comma(text, index, before)
    return index, _no_value(rest, before)


def _ends_early(text: str) -> tuple[int, str]:
    brackets = _open_brackets(text, len(text))
    if not brackets:
        return len(text), "The body ends before a value: write it."
    closing = {"{": "}", "[": "]"}[text[brackets[-1]]]
    return brackets[-1], f"This `{text[brackets[-1]]}` is never closed: add `{closing}` where it ends."


def _trailing(text: str, index: int) -> str:
    return f"JSON has no comma before `{text[index + 1 :].lstrip()[0]}`: remove it."


def _control(character: str) -> str:
    if character in "\r\n":
        return 'A text of JSON ends on its own line: close it with ", or write \\n for the line break.'
    name = {"\t": ("A tab", "\\t")}.get(character, (f"U+{ord(character):04X}", f"\\u{ord(character):04x}"))
    return f"{name[0]} cannot stand in a text of JSON: write {name[1]}."


def _escape(text: str, index: int) -> tuple[int, str]:
    # the position is that of the backslash, or of what follows it, by the kind of escape
    if text[index : index + 1] != "\\":
        index -= 1
    found = text[index : index + 2]
    if found == "\\u":
        return index, "\\u must be followed by four hexadecimal digits, as in \\u00e9; for a backslash write \\\\."
    return index, f"{found} is no escape of JSON: for a backslash write \\\\."


def _extra(text: str, index: int) -> str:
    rest = text[index:]
    if text.lstrip()[0] == '"':
        return (
            "A body that begins with a double quote is read as JSON, which needs { } around all of it: add "
            "them, or take the quotes off the first key to write YAML."
        )
    if rest[0] in "]}":
        return f"This `{rest[0]}` closes nothing: remove it, or add what it shall close."
    if rest.startswith(_COMMENTS):
        return _COMMENT
    return "The JSON has ended before this: remove it, or move it inside the brackets."


def _no_key(text: str, index: int) -> str:
    rest = text[index:]
    if template := _TEMPLATE.match(text, max(index - 1, 0)):
        return f'{_short(template[0])} must stand in double quotes: write "{_short(template[0])}".'
    if word := _WORD.match(rest) or _NUMBER.match(rest) or _VARIABLE.match(rest):
        return f'A key of JSON stands in double quotes: write "{_short(word[0])}".'
    if rest[0] == ",":
        return "There is a comma too many: remove it."
    return f"A key in double quotes is expected before {_shown(rest)}."


def _no_comma(text: str, index: int, before: str) -> tuple[int, str]:
    rest = text[index:]
    opener = _open_brackets(text, index)[-1]
    if rest[0] in "]}":
        closing = {"{": "}", "[": "]"}[text[opener]]
        return index, f"The `{text[opener]}` before is still open: close it with `{closing}` instead of `{rest[0]}`."
    if rest[0] == ":":
        if text[opener] == "[":
            return index, "A list has no keys: write { } around this pair, or use { } for the whole list."
        return index, "There is one colon too many: quote the whole value, or begin a new key after a comma."
    if before.endswith('"') and _WORD.match(rest):
        return index, 'The text has ended before this: write \\" for a quote within it, or a comma after it.'
    if number := re.search(r"(?<![\w.\"])-?[0-9][0-9.]*$", before):
        whole = number[0] + (_NUMBER.match(rest) or _WORD.match(rest) or re.match(r"\.?", rest) or [""])[0]
        if len(before) == index and whole != number[0]:
            return number.start(), f'{_short(whole)} is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'
    return len(before), f"A comma is missing before {_shown(rest)}: add it here."


def _no_value(rest: str, before: str) -> str:
    if template := _TEMPLATE.match(rest):
        return f'{_short(template[0])} must stand in double quotes: write "{_short(template[0])}".'
    if variable := _VARIABLE.match(rest):
        return f'A variable stands in double quotes, and keeps its type: write "{_short(variable[0])}".'
    word = _WORD.match(rest)
    if word and word[0] in _WORDS:
        return f"{_short(word[0])} is written {_WORDS[word[0]]} in JSON."
    if word and word[0].lower() in {"nan", "inf", "infinity"}:
        return f'JSON has no {_short(word[0])}: write null, or the text "{_short(word[0])}".'
    if word:
        return f'Text stands in double quotes: write "{_shown(rest, bare=True)}".'
    if (number := _NUMBER.match(rest)) or rest[0] in "+.":
        shown = number[0] if number else rest[0]
        return f'{_short(shown)} is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'
    if rest[0] == "," and before[-1:] in ("[", ","):
        return "There is a comma too many: remove it."
    if rest[0] in ",}]:" and before[-1:] == ":":
        return "The value after the colon is missing: write one, or null."
    return f"A value is expected before {_shown(rest)}."


def _shown(rest: str, *, bare: bool = False) -> str:
    """Give the beginning of what follows, to name it in a sentence."""
    found = re.match(r"[^\s,\]}:]*[^\n\r,\]}:]*", rest)
    text = _short((found[0].rstrip() if found else "") or rest[0])
    return text if bare else f"`{text}`"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _open_brackets(text: str, end: int) -> list[int]:
    """Give where the brackets stand that are open at ``end``, outermost first."""
    stack: list[int] = []
    for match in TOKEN.finditer(text, 0, end):
        if match[0] in ("[", "{"):
            stack.append(match.start())
        elif match[0] in ("]", "}") and stack:
            stack.pop()
    return stack
