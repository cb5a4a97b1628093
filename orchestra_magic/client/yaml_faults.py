"""What to do about YAML that cannot be read, in words that need no documentation.

PyYAML says what its scanner expected; a person wants to know which character to change. Its C and its Python
parser word the same fault differently, so that both are recognised by what their words have in common.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import OrchestraInputError
from .body import Body
from .yaml_refusals import (
    COMMA,
    HALF,
    KEY_VALUE,
    half_character,
    invisible,
    missing_space,
    quoted,
    rest_of_line,
    shortened,
    template,
)

__all__ = ["explain"]

_GENERAL = (
    "This cannot be read as YAML: check the indentation, the quotes and the brackets here and on the line before."
)
_TEMPLATE_VALUE = re.compile(r"(?:^|[:,\[{-])[ \t]*(\{\{)", re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:\{[^}\r\n]*\}?|[^\W\d]\w*(?:\.\w+|\[[^\]\r\n]*\])*)")
_PAIR = re.compile(r"[ \t]*(?:- +)*[^\s#'\"\[{][^\r\n]*?:(?:[ \t]|$)")
_ITEM = re.compile(r"-(?:\s|$)")
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")
_DIGITS = {"\\x": "two", "\\u": "four", "\\U": "eight"}
_NEAR = 2_000
_LONGEST_KEY = 1_024


def explain(body: Body, error: Any, last: Any) -> OrchestraInputError:
    """Build the error for what PyYAML did not take; ``last`` is the last event before it."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        escape = _NO_CHARACTER.search(body.text)
        return body.error(escape.start(), _digits("\\U")) if escape else body.error(0, _GENERAL)
    context = getattr(error, "context_mark", None) or mark
    words = f"{error.context or ''}: {error.problem or ''}"
    index, reason = _diagnosis(body, words, min(mark.index, len(body.text)), context.index, last)
    return body.error(index, reason)


def _diagnosis(body: Body, words: str, index: int, context: int, last: Any) -> tuple[int, str]:
    if found := _visible(body, index):
        return found
    text = body.text
    if text[index : index + 1] == "\t" or " tab " in words:
        indents = not text[body.bounds(index)[0] : index].strip()
        return index, "A tab cannot indent YAML: use spaces." if indents else "A tab is no space in YAML: use a space."
    if "quoted scalar" in words:
        return _in_quotes(text, words, index, context)
    for known, at_start in _BY_START.items():
        if known in words:
            return context, at_start(text, context)
    for known, at_fault in _BY_WORDS.items():
        if known in words:
            return at_fault(text, index, context)
    if "mapping values are not allowed" in words:
        return _second_colon(body, index)
    if any(known in words for known in ("expected key", "'-' indicator", "<block end>", "<document start>")):
        in_list = "collection" in words
        return _after_value(body, index, last, context - body.bounds(context)[0] if in_list else None)
    return index, _marker(text, index)


def _visible(body: Body, index: int) -> tuple[int, str] | None:
    """Find what is wrong by the looks of the line, whatever the parser stumbled over."""
    text = body.text
    if (mark := text.find("\ufeff", max(index - 1, 0), index + 1)) >= 0:
        return mark, f"This is {invisible(text[mark])}: remove it."
    start, end = body.bounds(index)
    start, end = max(start, index - _NEAR), min(end, index + _NEAR)
    for found in _TEMPLATE_VALUE.finditer(text, start, end):
        if found.start(1) <= index and text.count('"', start, found.start(1)) % 2 == 0:
            return found.start(1), template(text, found.start(1))
    for found in _VARIABLE.finditer(text, start, end):
        if found.start() < index < found.end() and text[index] in "{[":
            return found.start(), _variable(found[0])
    return None


def _in_quotes(text: str, words: str, index: int, context: int) -> tuple[int, str]:
    quote = text[context]
    if "end of stream" in words or "document" in words:
        return context, f"This quote is never closed: add {quote} where the text ends."
    # the C parser points at the backslash, the Python parser behind it
    index = max(text.rfind("\\", context, index + 1), context)
    found = text[index : index + 2]
    if HALF.match(text, index) and (half := half_character(text, index)):
        return half
    if "escape character" in words:
        return index, f"{found} is no escape: in double quotes write \\\\ for a backslash, or use single quotes."
    return index, _digits(found) if found in _DIGITS else _marker(text, index)


def _digits(escape: str) -> str:
    return (
        f"{escape} must be followed by {_DIGITS[escape]} hexadecimal digits of a character: write \\\\ for a "
        "backslash, or use single quotes."
    )


def _marker(text: str, index: int) -> str:
    what = {"*": "repeats a marked value", "&": "marks a value", "!": "begins a tag"}.get(text[index : index + 1])
    if what is None:
        return _GENERAL
    return f"{text[index]} at the start {what}: quote text that begins with it: {quoted(rest_of_line(text, index))}."


def _block_text(text: str, index: int) -> str:
    return (
        f"{text[index]} begins a text on the lines below it, and nothing may follow it on its line: quote text that "
        f"begins with it: {quoted(rest_of_line(text, index))}."
    )


def _directive(text: str, index: int) -> str:
    return f"A line that begins with % is no input: remove it, or quote it: {quoted(rest_of_line(text, index))}."


_BY_START = {
    "scanning an alias": _marker,
    "scanning an anchor": _marker,
    "a tag:": _marker,
    "tag handle": _marker,
    "block scalar": _block_text,
    "directive": _directive,
    "YAML document": _directive,
}


def _in_brackets(text: str, index: int, context: int) -> tuple[int, str]:
    opening = text[context : context + 1]
    closing = {"[": "]", "{": "}"}.get(opening)
    if closing is None:
        return index, _marker(text, index)
    rest = text[index:].lstrip()
    if not rest:
        return context, f"This {opening} is never closed: add {closing} where it ends."
    if rest[0] in "]}":
        return index, f"The {opening} before is still open: close it with {closing} instead of {rest[0]}."
    line = text[text.rfind("\n", 0, index) + 1 : index]
    if comment := re.search(r"(?:^|\s)(//|/\*)", line):
        start = text.rfind("\n", 0, index) + 1 + comment.start(1)
        return start, "A comment begins with # in YAML: replace the slashes."
    if "\n" in text[context:index]:
        missing = f"This {opening} is never closed: add {closing} where it ends, or the comma that is missing before"
        return context, f"{missing} `{rest_of_line(text, index)}`."
    if rest[0] == ":":
        return index, 'A comma is missing before this key, or quotes around a text with a colon, as in "a: b".'
    return index, f"A comma is missing before `{rest_of_line(text, index)}`, or {closing} to close the {opening}."


def _variable(written: str) -> str:
    shown = shortened(written)
    return f'{shown} must stand in quotes inside [ ] and {{ }}: write "{shown}".'


def _colon_in_brackets(text: str, index: int, _context: int) -> tuple[int, str]:
    value = rest_of_line(text, index + 1)
    if value[:1] in ("", ":"):
        return index, "There is no value after this colon: write one, remove the colon, or quote the text with it."
    return index, "A space must follow the colon: write `: ` instead of `:`."


def _unquoted(text: str, index: int, _context: int) -> tuple[int, str]:
    return index, f"Text cannot begin with {text[index]}: quote it: {quoted(rest_of_line(text, index))}."


def _line_without_colon(text: str, _index: int, context: int) -> tuple[int, str]:
    return context, _no_pair(text, context)


def _no_pair(text: str, index: int) -> str:
    if found := KEY_VALUE.match(text, index):
        return missing_space(found)
    shown = rest_of_line(text, index)
    return f"This line has no colon: write `{shown}: value`, or indent the line if it goes on with the text above."


def _second_colon(body: Body, index: int) -> tuple[int, str]:
    text = body.text
    start, _ = body.bounds(index)
    before = text[start:index]
    if first := re.match(r"([^\r\n]*?):[ \t]+", before):
        value = rest_of_line(text, start + first.end())
        if value[:1] in "'\"":
            return index, "The text has ended at the quote before this colon: quote all of it, or begin a new line."
        if not value.strip(":"):
            return index, "There is one colon too many: remove it."
        return index, f"A colon within text needs quotes: write `{first[1].strip()}: {quoted(value)}`."
    if len(before) > _LONGEST_KEY:
        return start, "A key of YAML has 1,024 characters at most: write the body as JSON."
    if not before.strip(" \t-"):
        return index, "The key before the colon is missing: write one."
    above, _ = body.bounds(len(text[:start].rstrip()))
    if above < start and not _PAIR.match(text, above, body.bounds(above)[1]):
        indent = len(text[above:]) - len(text[above:].lstrip(" "))
        return above + indent, _no_pair(text, above + indent)
    return start + len(before) - len(before.lstrip()), (
        "This line is indented deeper than the one above, which has its value already: line both up, or remove the "
        "value above."
    )


def _stray_item(text: str, index: int, _context: int) -> tuple[int, str]:
    item = rest_of_line(text, index + 1)
    return index, (
        f"A list does not begin on the line of its key: write `- {item}` on a line of its own, or [{item}]; quote "
        f'"- {item}" if it is text.'
    )


def _no_content(text: str, index: int, _context: int) -> tuple[int, str]:
    rest = text[index:].lstrip()
    if not rest or rest.startswith(("---", "...")):
        opened = max(text.rfind("[", 0, index), text.rfind("{", 0, index))
        if opened < 0:
            return index, "There is no value here: remove this line, or write `name: value` above it."
        return opened, f"This {text[opened]} is never closed: close it where it ends."
    before = text[:index].rstrip()[-1:]
    if rest[0] == ":":
        return index, "The key before the colon is missing: write one."
    if rest[0] == "," and before in ("[", "{", ","):
        return index, "There is a comma too many: remove it."
    return index, f"A value cannot begin with {rest[0]}: quote it if it is text, or write the value before it."


_BY_WORDS = {
    "',' or '": _in_brackets,
    "unexpected ':'": _colon_in_brackets,
    "cannot start any token": _unquoted,
    "mapping keys are not allowed": _unquoted,
    "find expected ':'": _line_without_colon,
    "entries are not allowed": _stray_item,
    "node content": _no_content,
}


def _after_value(body: Body, index: int, last: Any, items_at: int | None) -> tuple[int, str]:
    """Say what is wrong with something that stands where a new line's key or item should."""
    text, (start, _) = body.text, body.bounds(index)
    character, before = text[index : index + 1], text[start:index].rstrip()
    first = len(text) - len(text.lstrip())
    if text.startswith("%", first):  # PyYAML in Python passes over what it does not know
        return first, _directive(text, first)
    if not before:
        return index, _misplaced_line(text, index, start, items_at)
    if character == ",":
        return index, COMMA
    if character == ":":
        return index, "The key before the colon is missing: write one."
    if character in ("]", "}"):
        return index, f"This {character} closes nothing: remove it."
    if before[-1] in "'\"":
        opened = last.start_mark.index if getattr(last, "style", None) in ("'", '"') else index
        if opened < start:
            closed = body.line(index)
            return (
                opened,
                f"This quote is closed only on line {closed}: close it with {text[opened]} where the text ends.",
            )
        other = "use \" around the text instead, or write ''" if before[-1] == "'" else 'write \\"'
        return index, f"The text has ended at the quote before this: to have a quote within it, {other}."
    if before[-1] in "]}":
        return index, f"The value has ended at the {before[-1]} before this: quote the whole value if it is text."
    return index, _marker(text, index)


def _misplaced_line(text: str, index: int, start: int, items_at: int | None) -> str:
    """Say where a line belongs; ``items_at`` is the column of the list that is open, if it is one."""
    rest, indent = text[index:], index - start
    if rest[:1] == ":":
        return "The key before the colon is missing: write it on the line of the colon."
    is_item = _ITEM.match(rest) is not None
    above = text[:start].rstrip().rpartition("\n")[2]
    if items_at == indent and not is_item:
        return "This line is no item of the list above: begin it with `- `, or write the list under a key of its own."
    if is_item and items_at is None and not _ITEM.match(above.lstrip(" ")):
        return "A list item stands among keys: write a key such as `items:` on a line above it."
    return f"This line is indented by {indent}, which fits no line above: line it up with the lines it belongs to."
