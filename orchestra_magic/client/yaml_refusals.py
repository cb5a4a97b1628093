"""What YAML is refused for although it can be read, and the words for it.

Everything here is either what JSON cannot say, or what a reader would take for something else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from .body import Body
from .refusals import MAX_DEPTH

SECOND_DOCUMENT = "A second document begins here, and a body is one: remove this line and what follows it."
TOO_DEEP = f"This is nested more than {MAX_DEPTH} levels deep: send it flatter, or as text."
ALIAS_BOMB = "The values repeated with * grow past a million characters: write out what you need."
MERGE_KEY = '`<<` does not merge mappings in YAML 1.2: write the keys out, or quote "<<" for a key of that name.'
COMMA = "YAML has no comma at the end of a line: remove it, or write { } around the whole body for JSON."
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_TEMPLATE = re.compile(r"\{\{[ \t]*([^\r\n{}]*?)[ \t]*\}\}")
KEY_VALUE = re.compile(r"(?P<key>[\w .-]*\w)[ \t]*(?P<sign>:(?!//)|=)[ \t]*(?P<value>[^\s=][^\r\n]*)")
HALF = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F][0-9a-fA-F]{2}")
_PAIR_OF_HALVES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SHOWN = 40


def check_characters(body: Body) -> None:
    """Refuse the control characters that YAML does not have."""
    if found := _FORBIDDEN.search(body.text):
        code = ord(found[0])
        name = unicodedata.name(found[0], "a control character")
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        raise body.error(
            found.start(),
            f'U+{code:04X} ({name}) cannot stand in YAML: remove it, or write "{escape}" in double quotes.',
        )


def template(text: str, index: int) -> str:
    """Say how ``{{ x }}`` is written in YAML."""
    found = _TEMPLATE.match(text, index)
    if found is None:
        return "Two { in a row begin no mapping: remove one, or quote the whole value if it is text."
    written = found[0] if len(found[0]) <= _SHOWN else "{{ … }}"
    reason = f'{written} must stand in quotes to be text: write "{written}"'
    if re.fullmatch(r"[^\W\d]\w*(?:\.\w+)*", found[1]):
        return f"{reason}, or ${found[1]} for the value of a Python variable."
    return f"{reason}."


def text_alone(text: str, index: int) -> tuple[int, str]:
    """Say what a body needs that is one text, and no mapping."""
    if found := KEY_VALUE.match(text, index):
        return found.start("sign"), missing_space(found)
    shown = rest_of_line(text, index)
    example = f"`name: {shown}`" if len(shown) < _SHOWN and not re.search(r"[:#'\"]", shown) else "`name: value`"
    return index, f"The body is just text, and inputs have names: write {example}."


def complex_key(text: str, parent: int, index: int) -> tuple[int, str]:
    """Say what to do about a key that is a list or a mapping."""
    if text.startswith("{{", index):
        return index, template(text, index)
    if parent < index and text[parent] == text[index] == "{" and not text[parent + 1 : index].strip():
        return parent, template(text, parent)
    return index, "A key must be text, and this is a list or a mapping: quote it if it is meant as text."


def key_is_no_text(text: str, value: Any, written: str, index: int) -> tuple[int, str]:
    """Say what to do about a key such as ``1`` or ``true``."""
    if not written:
        return index, "The key before the colon is missing: write one."
    kind = {bool: "true or false", type(None): "null"}.get(type(value), "a number")
    if isinstance(value, (dict, list)):
        return complex_key(text, index, index + 1)
    return (
        index,
        f'A key must be text, and {shortened(written)} is read as {kind}: write "{shortened(written)}" in quotes.',
    )


def unseen_in_key(key: str) -> str:
    """Say that a key has a character at its edge that cannot be seen, or looks like a space and is none."""
    unseen, where = (key[-1], "ends") if key[0].isprintable() else (key[0], "begins")
    return f"The key {where} with {invisible(unseen)}: remove it, or type a space instead."


def no_space_in_flow(key: str) -> str:
    """Say how ``{a:1}`` is written."""
    found = KEY_VALUE.match(key)
    if found:
        return missing_space(found)
    return f'There is no value here, only the key `{shortened(key)}`: write a space after its colon, or "quote" it.'


def lost_comment(key: str, comment: str) -> str:
    """Say that text after # would be lost."""
    return (
        f"A comment begins at this #, which leaves `{shortened(key)}` empty: quote {quoted(shortened(comment))} if "
        "it is the value, else write a space after the #."
    )


def python_value(written: str) -> str:
    """Say how a value of Python is written in YAML."""
    if written == "None":
        return 'None is Python: write null for no value, or "None" for the text.'
    return 'Parentheses make no tuple here: write [1, 2] for a list, or "quote" the text.'


def unknown_tag(text: str, index: int) -> str:
    """Say what to do about ``!name``."""
    found = re.compile(r"!\S*").search(text, index)
    start = found.start() if found else index
    return (
        f"{shortened(found[0]) if found else '!'} is a tag, and tags of one's own have no meaning here: remove it, or "
        f"quote text that begins with !: {quoted(rest_of_line(text, start))}."
    )


def unknown_alias(text: str, name: str, index: int) -> str:
    """Say what to do about ``*name`` where there is no ``&name``."""
    return (
        f"*{shortened(name)} repeats a value that is marked &{shortened(name)}, and there is none before: quote text "
        f"that begins with *: {quoted(rest_of_line(text, index))}."
    )


def unused_anchor(text: str, name: str, index: int) -> str:
    """Say what to do about ``&name`` that nothing repeats."""
    return (
        f"&{shortened(name)} marks a value to be repeated, and nothing repeats it: quote text that begins with &: "
        f"{quoted(rest_of_line(text, index))}, or remove the mark."
    )


def half_character(text: str, index: int) -> tuple[int, str] | None:
    """Say how the next escape of half a character is written, if there is one."""
    found = HALF.search(text, index)
    if found is None:
        return None
    if pair := _PAIR_OF_HALVES.match(text, found.start()):
        code = 0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00
        reason = f"{pair[0]} is JSON for {chr(code)}: write the character itself, or \\U{code:08X}."
    else:
        reason = f"{found[0]} is half of a character, and cannot be sent: write the character itself."
    return found.start(), reason


def rest_of_line(text: str, index: int) -> str:
    """Give the value that someone meant to begin at ``index``: to the line's end, or to the next , ] }."""
    line = text[text.rfind("\n", 0, index) + 1 : index]
    inside = line.count("[") + line.count("{") > line.count("]") + line.count("}")
    found = re.compile(r"[^\r\n,\]}]*" if inside else r"[^\r\n]*").match(text, index)
    return shortened(re.split(r"[ \t]#", found[0] if found else "", maxsplit=1)[0].strip())


def missing_space(found: re.Match[str]) -> str:
    """Say how ``key:value`` or ``key = value`` is written in YAML."""
    fixed = f"`{found['key']}: {shortened(found['value'].rstrip())}`"
    if found["sign"] == "=":
        return f"A value stands after a colon, not after `=`: write {fixed}."
    return f"A space must follow the colon: write {fixed}."


def invisible(character: str) -> str:
    """Give the name of a character that cannot be seen."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'a character without a name')}), which is invisible"


def shortened(text: str) -> str:
    """Cut a text to what a sentence can hold."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def quoted(text: str) -> str:
    """Quote a text as YAML does."""
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'
