"""A file becomes an input: text as text, anything else as a ``data:`` address, which is text as well."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path

from ...errors import OrchestraInputError

MOST = 5_000_000
"""Bytes of a file that an input may hold: a request takes 10 MB, and base64 is a third longer."""


def content(path: str, name: str) -> str:
    """Return what the file at ``path`` is sent as.

    Raises
    ------
    OrchestraInputError
        If it cannot be read, or is too large.
    """
    place = Path(path.strip()).expanduser()
    try:
        size = place.stat().st_size
        if size > MOST:
            raise too_large(name, size)
        return encoded(place.read_bytes(), place.name)
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise OrchestraInputError(f"The input {name!r} takes a file, and {path!r}: {why}.") from None
    except ValueError:
        raise OrchestraInputError(f"The input {name!r} takes a file, and {path!r} is no path.") from None


def encoded(data: bytes, file_name: str) -> str:
    """Return bytes as text that JSON can hold.

    Examples
    --------
    >>> encoded(b"plain", "a.txt"), encoded(bytes([0, 255]), "a.png")
    ('plain', 'data:image/png;base64,AP8=')
    """
    try:
        text = data.decode("utf-8")
        if "\x00" not in text:
            return text
    except UnicodeDecodeError:
        pass
    kind = mimetypes.guess_type(file_name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def too_large(name: str, size: int) -> OrchestraInputError:
    """Return the error for a file that no request takes."""
    return OrchestraInputError(
        f"The input {name!r} takes a file of {MOST // 10**6} MB at most, and this one has {size / 1e6:.1f} MB: send its"
        " path or address as text."
    )
