"""Documents of every format, made shortly."""

from __future__ import annotations

import io
import zipfile
import zlib

import pytest


def docx():
    document = pytest.importorskip("docx").Document()
    document.add_heading("Leave")
    document.add_paragraph("Thirty days a year.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Region", "North"
    return document, "Leave\n\nThirty days a year.\n\nRegion | North"


def pptx():
    show = pytest.importorskip("pptx").Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "Grow owls"
    slide.notes_slide.notes_text_frame.text = "Say it slowly"
    return show, "Plan\n\nGrow owls\n\nSay it slowly"


def xlsx():
    book = pytest.importorskip("openpyxl").Workbook()
    book.active.title = "Prices"
    for row in (["item", "euro"], ["owl", 5], [None, None], ["hawk", 7.5]):
        book.active.append(row)
    return book, "Prices\nitem: owl; euro: 5\nitem: hawk; euro: 7.5"


def pdf(text=b"BT /F1 12 Tf 9 9 Td (Owls are birds) Tj ET"):
    pytest.importorskip("pypdf")
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page]
    parts += [b"<</Length %d>>stream\n%s\nendstream" % (len(text), text)]
    parts += [b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    body, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(body))
        body += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % one for one in places)
    return body + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(body)


def saved(document):
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def slow_pdf():
    """A page of a million words, packed to nothing: to read it takes longer than anybody waits."""
    content = zlib.compress(b"BT /F1 12 Tf " + b"(owl) Tj 1 0 0 1 5 5 Tm " * 2_000_000 + b"ET", 9)
    body = pdf(content)
    assert len(body) < 1 << 20
    return body.replace(b"<</Length", b"<</Filter/FlateDecode/Length", 1)


def bomb(kind):
    """An office document that unpacks to gigabytes."""
    document, _ = {"docx": docx, "pptx": pptx, "xlsx": xlsx}[kind]()
    inner = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml", "xlsx": "xl/worksheets/sheet1.xml"}[kind]
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(document))) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != inner:
                new.writestr(entry, old.read(entry))
        with new.open(inner, "w", force_zip64=True) as file:
            file.write(old.read(inner)[:-20])
            for _ in range(2500):
                file.write(b" " * (1 << 20))
    return packed.getvalue()
