"""The text of a cell becomes a dict of JSON values, or an error that points at the line.

What looks like JSON is read as JSON exactly; everything else is YAML 1.2. Two parsers, because no YAML
parser reads all JSON, and because each repairs in silence what the other calls a mistake.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from ..errors import OrchestraInputError, OrchestraUsageError
from .body import Body

__all__ = ["MAX_BYTES", "Format", "parse"]

Format = Literal["auto", "yaml", "json"]
"""How a body is written; ``auto`` looks at how it begins."""

MAX_BYTES = 10_000_000
"""How long a body may be in UTF-8: what the embedded server takes as well."""

_LOOKS_LIKE_JSON = re.compile(r'[ \t\r\n]*(?:\{[ \t\r\n]*["}]|\[|")')


def parse(text: str, *, format: Format = "auto", first_line: int = 1) -> dict[str, Any]:  # noqa: A002
    r"""Read the inputs of a run from text.

    Parameters
    ----------
    text : str
        A mapping in JSON or YAML 1.2 (core schema: ``no``, ``12:30`` and ``2024-01-02`` are text). It is JSON
        if it begins with ``{`` and then ``"`` or ``}``, with ``[`` or with ``"``. Nothing, or nothing but
        comments, means no inputs.
    format : {"auto", "yaml", "json"}, optional
        Read it as this, however it begins.
    first_line : int, optional
        The number of the text's first line in errors: 2 for the body of a cell, whose line 1 is the magic.

    Returns
    -------
    dict[str, Any]
        JSON values, at most 100 levels deep.

    Raises
    ------
    OrchestraInputError
        With line, column and the faulty line: for text that cannot be read, and for what JSON cannot say or
        a reader could take for something else (duplicate keys, NaN, keys that are no text, merge keys, …).

    Examples
    --------
    >>> parse("prompt: hello\nsizes: [1, 2]")
    {'prompt': 'hello', 'sizes': [1, 2]}
    >>> parse('{"prompt": "hello"}')
    {'prompt': 'hello'}
    """
    if format not in get_args(Format):
        raise OrchestraUsageError(f"The format is auto, yaml or json, not {format!r}.")
    text = text.removeprefix("\ufeff")
    body = Body(text, first_line)
    _check_characters(body)
    if not text.strip():
        return {}
    as_json = format == "json" or (format == "auto" and _LOOKS_LIKE_JSON.match(text) is not None)
    # each parser is loaded where it is needed: a cell in JSON never waits for the import of yaml
    if as_json:
        from .json_text import read_json

        start = len(text) - len(text.lstrip(" \t\r\n"))
        value = read_json(body)
    else:
        from .yaml12 import read_yaml

        start, value = read_yaml(body)
    if isinstance(value, dict):
        return value
    if value is None and start < 0:
        return {}
    raise _no_mapping(body, start, value, as_json=as_json)


def _check_characters(body: Body) -> None:
    """Refuse what cannot be sent as UTF-8, and what is too long to be a cell."""
    try:
        size = len(body.text) if body.text.isascii() else len(body.text.encode())
    except UnicodeEncodeError as error:
        raise body.error(
            error.start,
            f"U+{ord(body.text[error.start]):04X} is half of a character (a lone surrogate) and cannot be sent: "
            "type the character again.",
        ) from None
    if size > MAX_BYTES:
        raise OrchestraInputError(
            f"The body has {size / 1e6:.1f} MB, and {MAX_BYTES // 10**6} MB is the most: send a path or an "
            "address instead of the data itself."
        )


def _no_mapping(body: Body, start: int, value: Any, *, as_json: bool) -> OrchestraInputError:
    example = '{"name": value}' if as_json else "`name: value`"
    if isinstance(value, list):
        remedy = '{"name": [ … ]}' if as_json else "write `name:` on a line above it"
        return body.error(start, f"The body is a list, and inputs have names: {remedy}.")
    if not isinstance(value, str):
        shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else "a number"
        return body.error(start, f"The body is just {shown}, and inputs have names: write {example}.")
    if not as_json:
        from .yaml_refusals import text_alone

        return body.error(*text_alone(body.text, start))
    return body.error(start, f"The body is just text, and inputs have names: write {example}.")
