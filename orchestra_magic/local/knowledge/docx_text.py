"""The text of a DOCX. Its library sees what stands in the body itself, and nothing that has something around it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# What is around text, and says nothing itself: inserted, moved to here, a field, a control of a form ...
_AROUND = ("ins", "moveTo", "sdt", "sdtContent", "fldSimple", "smartTag", "customXml", "dir", "bdo")
# Here Word keeps what was moved away, and a text box once more, for older versions of itself.
_NOT_THERE = (
    f"{_WORD}moveFrom",
    f"{_WORD}sdtPr",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
)
_MARGINS = tuple(f"{which}{part}" for part in ("header", "footer") for which in ("", "first_page_", "even_page_"))


def paragraphs(content: bytes) -> Iterator[str]:
    """Yield each paragraph and each table of a document, then those of its headers and footers."""
    document = import_module("docx").Document(io.BytesIO(content))
    _flatten(document.element)
    yield from _blocks(document)
    margins = [getattr(section, name) for section in document.sections for name in _MARGINS]
    for margin in margins:
        if not margin.is_linked_to_previous:
            _flatten(margin.part.element)
            yield from _blocks(margin)


def _flatten(root: Any) -> None:
    """Bring every paragraph and table to where the library sees it."""
    for element in list(root.iter(*_NOT_THERE)):
        element.getparent().remove(element)
    for element in list(root.iter(*(_WORD + name for name in _AROUND))):
        for child in list(element):
            element.addprevious(child)
        element.getparent().remove(element)
    for box in reversed(list(root.iter(f"{_WORD}txbxContent"))):
        paragraph = next(box.iterancestors(f"{_WORD}p"))
        for child in reversed(list(box)):
            paragraph.addnext(child)


def _blocks(container: Any) -> Iterator[str]:
    for block in container.iter_inner_content():
        yield _table(block) if hasattr(block, "rows") else block.text


def _table(table: Any) -> str:
    rows = ((_cell(cell) for cell in row.cells) for row in table.rows)
    return "\n".join(" | ".join(row) for row in rows)


def _cell(cell: Any) -> str:
    return "\n".join(_blocks(cell)).strip()
