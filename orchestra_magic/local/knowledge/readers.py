"""Documents become text. Each format has one reader; the libraries of some are an extra.

As a program it reads the document on its standard input: in a process of its own, under limits, because
documents come from anywhere, and one that unpacks to gigabytes must not take the server with it.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..sandbox import access, landlock
from . import docx_text
from .chunks import split

MEMORY = 2 << 30
SECONDS = 60
UNPACKED = 500 << 20
LONGEST = 40_000_000
# It is repeated for each value: a long one would make a large text of a small document.
_LONGEST_WAY = 200
_ZIPPED = ("docx", "pptx", "xlsx")
GUESSED = "windows-1252"
# Those of terminals, of printers and of DOS are left out. A text has a few others by mistake, what is none has many.
_CONTROL = re.compile(r"[\x00-\x07\x0e-\x19\x1c-\x1f]")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class UnreadableError(ValueError):
    """A document cannot be read. The message says why, and what to do."""


def read(kind: str, content: bytes) -> str:
    """Return the text of a document, its paragraphs apart.

    Parameters
    ----------
    kind : str
        One of :data:`READERS`.

    Raises
    ------
    UnreadableError
        If it cannot be read, or holds no text.
    """
    try:
        if kind in _ZIPPED:
            _check_size(content)
        text = "\n\n".join(part.strip() for part in READERS[kind](content) if part.strip())
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever a library makes of a broken file)
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UnreadableError(f"it cannot be read as {kind.upper()} ({reason})") from None
    if len(text) > LONGEST:
        raise UnreadableError(f"its text is longer than {LONGEST} characters; divide it")
    if not text:
        hint = "; if its pages are pictures, have them recognised first" if kind == "pdf" else ""
        raise UnreadableError(f"there is no text in it{hint}")
    return text.encode("utf-8", "replace").decode()


def format_of(filename: str) -> str:
    """Return the format of a file by the end of its name.

    Raises
    ------
    UnreadableError
        If there is no reader for it, or its library is not installed.
    """
    kind = filename.rpartition(".")[2].lower() if "." in filename else ""
    kind = {"markdown": "md", "text": "txt"}.get(kind, kind)
    if kind not in READERS:
        known = ", ".join(READERS)
        said = f".{kind}" if kind else "a name without an ending"
        raise UnreadableError(f"there is no reader for {said}; there are: {known}")
    if kind in LIBRARIES and find_spec(LIBRARIES[kind][0]) is None:
        package = LIBRARIES[kind][1]
        raise UnreadableError(f"to read {kind.upper()} install {package}: pip install 'orchestra-magic[documents]'")
    return kind


def decode(content: bytes) -> str:
    """Return text in UTF-8, in UTF-16 that says so, or else in the Windows encoding of Western Europe.

    Raises
    ------
    UnreadableError
        If it is no text.
    """
    encoding = _encoding(content)
    text = content.decode(encoding or GUESSED, "strict" if encoding else "replace")
    if "\0" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        raise UnreadableError("it is no text, or in an encoding that is not known; save it as text in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def guessed(kind: str, content: bytes) -> str | None:
    """Return the encoding that is guessed for a text, None where it is sure."""
    return GUESSED if kind in TEXTS and _encoding(content) is None else None


def _encoding(content: bytes) -> str | None:
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return encoding


def _check_size(content: bytes) -> None:
    # What a zip says of its sizes holds: nothing beyond them is unpacked.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > UNPACKED:
            raise UnreadableError(f"it unpacks to more than {UNPACKED >> 20} MB")


def _text(content: bytes) -> Iterator[str]:
    yield decode(content)


def _json(content: bytes) -> Iterator[str]:
    """Yield a paragraph for each item of a list, a line for each value with the way to it."""
    try:
        document = json.loads(decode(content))
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    for item in document if isinstance(document, list) else [document]:
        yield "\n".join(_leaves(item, ""))


def _leaves(value: Any, way: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (f"{way}.{key}" if way else str(key))[-_LONGEST_WAY:])
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, way)
    elif value is not None:
        said = value if isinstance(value, str) else json.dumps(value)
        yield f"{way}: {said}" if way else said


def _pdf(content: bytes) -> Iterator[str]:
    pypdf = import_module("pypdf")
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("it is locked by a password; remove that first")
        for page in reader.pages:
            yield page.extract_text()
    except pypdf.errors.DependencyError:
        raise UnreadableError(
            "it is encrypted; to read it install cryptography: pip install 'orchestra-magic[documents]'"
        ) from None


def _pptx(content: bytes) -> Iterator[str]:
    for slide in import_module("pptx").Presentation(io.BytesIO(content)).slides:
        yield from _shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield slide.notes_slide.notes_text_frame.text


def _shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            yield "\n".join(" | ".join(cell.text.strip() for cell in row.cells) for row in shape.table.rows)


def _xlsx(content: bytes) -> Iterator[str]:
    """Yield each sheet: its name, and a line for each row, its values beside the names of their columns.

    The names are in the first row with two values: above it may be a title.
    """
    book = import_module("openpyxl").load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says of its size is often wrong, and the rest would not be read
        above: list[str] = []
        below: list[str] = []
        header: list[str] = []
        for row in sheet.iter_rows(values_only=True):
            values = ["" if value is None else str(value).strip() for value in row]
            filled = [value for value in values if value]
            if not header and len(filled) > 1:
                header = values
            elif filled:
                names = header + [""] * (len(values) - len(header))
                pairs = zip(names, values, strict=False)
                line = "; ".join(f"{name}: {value}" if name else value for name, value in pairs if value)
                (below if header else above).append(line)
        names_alone = ["; ".join(name for name in header if name)]
        yield "\n".join([sheet.title, *above, *(below or names_alone)]) if above or header else ""


READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "txt": _text,
    "md": _text,
    "json": _json,
    "pdf": _pdf,
    "docx": docx_text.paragraphs,
    "pptx": _pptx,
    "xlsx": _xlsx,
}
LIBRARIES = {
    "pdf": ("pypdf", "pypdf"),
    "docx": ("docx", "python-docx"),
    "pptx": ("pptx", "python-pptx"),
    "xlsx": ("openpyxl", "openpyxl"),
}
"""Formats whose reading takes an extra: the module, and the package that brings it."""
TEXTS = frozenset(READERS) - frozenset(LIBRARIES)


def main() -> None:
    """Read the document on standard input; write its text, or why there is none, as JSON."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    content = sys.stdin.buffer.read()
    # Whoever finds a hole in a library finds no files behind it, and no network.
    seen = access.access("/dev/null")
    landlock.restrict(seen["readable"], ["/dev/null"], network=False)
    try:
        said: dict[str, Any] = {"chunks": split(read(sys.argv[1], content))}
    except UnreadableError as error:
        said = {"error": str(error)}
    except MemoryError:
        said = {"error": "it takes more memory than a document may"}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
