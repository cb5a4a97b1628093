"""The words that all views share: clean text, short values, durations, status marks."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MARKS = {
    "queued": "○",
    "running": "◐",
    "completed": "✔",
    "completed with errors": "⚠",
    "success": "✔",
    "succeeded": "✔",
    "failed": "✘",
    "error": "✘",
    "errored": "✘",
    "cancelled": "■",
    "canceled": "■",
    "timeout": "✘",
    "timed_out": "✘",
    "stopped": "■",
    "aborted": "■",
}
UNKNOWN_MARK = "·"

# Pills bring their own ground, so that they read the same in a light and a dark theme.
_GOOD, _DOUBTFUL, _BAD, _BUSY, _PLAIN = (
    "#0b5a28;background:#dff3e4",
    "#6b4300;background:#fdefcf",
    "#8a1212;background:#fde4e4",
    "#0b4a8a;background:#e1eefc",
    "#3c3c3c;background:#ececec",
)
_COLOURS = {"✔": _GOOD, "⚠": _DOUBTFUL, "✘": _BAD, "◐": _BUSY, "○": _BUSY}

NOT_TYPESET = 'class="tex2jax_ignore mathjax_ignore"'
"""The attribute of HTML in which "$5 and $10" stays what it is: Jupyter takes dollars for formulas."""

WRAPPED = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"
"""The style of a ``pre`` that breaks its lines between words: Jupyter's own style breaks them anywhere."""

_KEPT = {"\n", "\t"}
_HIDING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINER = "\u200d"
"""Joins emoji, and letters of some scripts; between plain letters it only hides."""
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\uffa0\ufdd0-\ufdef\ufff0-\ufff8]")
"""Drawn as nothing, although Unicode counts them as letters or marks."""
_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SELECTORS = re.compile(f"{_SELECTOR.pattern}{{2,}}")
_ODD = re.compile(f"{_BLANK.pattern}|{_SELECTORS.pattern}")
"""One chooses between forms of a character; more of them say nothing to a reader, and can carry any text."""


def clean(text: str) -> str:
    r"""Return ``text`` with control, bidirectional and other invisible characters made visible.

    What a server says must not reorder a line, move a cursor or hide.

    Examples
    --------
    >>> clean("a\x1b[2Jb")
    'a␛[2Jb'
    """
    if text.replace("\n", "").replace("\t", "").isprintable() and not _ODD.search(text):
        return text
    shown = "".join(_visible(c, before) for c, before in zip(text, " " + text, strict=False))
    return _SELECTORS.sub(_all_but_first, shown)


def _visible(character: str, before: str) -> str:
    code = ord(character)
    if character in _KEPT or not (
        unicodedata.category(character) in _HIDING
        or _BLANK.match(character)
        or code & 0xFFFE == 0xFFFE  # no characters, in any plane
        or (0xE0000 <= code <= 0xE0FFF and not _SELECTOR.match(character))  # all blank, whatever they will be
    ):
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if character == _JOINER and not before.isascii() and before != _JOINER:
        return character
    return f"<U+{code:04X}>"


def _all_but_first(found: re.Match[str]) -> str:
    return found[0][0] + "".join(f"<U+{ord(c):04X}>" for c in found[0][1:])


def escape(text: str) -> str:
    """Return server text as HTML that shows it and does nothing else."""
    return html.escape(clean(text), quote=True)


def line(value: Any, limit: int = 80) -> str:
    """Return any JSON value in one short line: text as it is, the rest as JSON.

    Examples
    --------
    >>> line({"a": [1, 2]})
    '{"a": [1, 2]}'
    """
    text = value if isinstance(value, str) else dump(value)
    text = " ".join(clean(text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def dump(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON text; what is no JSON as its repr."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=repr)
    except RecursionError:
        return "(nested too deeply to show)"


def seconds(duration: float | None) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> seconds(0.0264), seconds(0.726), seconds(75.2), seconds(3725), seconds(None)
    ('26 ms', '0.7 s', '1 min 15 s', '1 h 2 min', '')
    """
    if duration is None:
        return ""
    if duration < 0.1:
        return f"{1000 * duration:.0f} ms"
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 60:
        return f"{duration:.0f} s"
    minutes, rest = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(moment: datetime | None) -> str:
    """Return a time of the server as it stands in a table, in UTC."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def mark(status: str) -> str:
    """Return a status with its mark: the word is always there, the colour never alone."""
    return f"{MARKS.get(status, UNKNOWN_MARK)} {line(status, 40)}"


def pill(status: str) -> str:
    """Return a status as HTML: mark, word and colour."""
    colour = _COLOURS.get(MARKS.get(status, ""), _PLAIN)
    return f'<b style="color:{colour};padding:1px 7px;border-radius:9px">{escape(mark(status))}</b>'


def fault(value: Any) -> str:
    """Return what went wrong in a code node, by the envelope of its output: the step itself may be "completed".

    Examples
    --------
    >>> fault({"data": {"results": None, "error": "ZeroDivisionError"}, "error": None, "successful": False})
    'ZeroDivisionError'
    """
    if not isinstance(value, Mapping) or not {"successful", "successfull"} & value.keys():
        return ""
    data = value.get("data")
    said = (isinstance(data, Mapping) and data.get("error")) or value.get("error")
    return said if isinstance(said, str) else dump(said) if said else ""


def results(value: Any) -> Any:
    """Return what a code node computed, without the envelope it comes in; other values as they are."""
    if isinstance(value, Mapping) and {"successful", "successfull"} & value.keys():
        data = value.get("data")
        if isinstance(data, Mapping) and "results" in data:
            return data["results"]
    return value
