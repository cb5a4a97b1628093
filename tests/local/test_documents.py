"""How documents are read: every format, damaged and hostile ones, and what ends a reading."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestra_magic.local.knowledge import readers
from orchestra_magic.local.knowledge.readers import UnreadableError, format_of, read
from orchestra_magic.local.knowledge.reading import Reader
from orchestra_magic.local.sandbox import landlock

from .documents import bomb, docx, pdf, pptx, saved, slow_pdf, xlsx


@pytest.mark.parametrize("make", [docx, pptx, xlsx])
def test_documents_of_offices(make):
    document, text = make()
    assert read(make.__name__, saved(document)) == text


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
IN_A_PARAGRAPH = {
    "inserted": "<w:ins {W}><w:r><w:t>told</w:t></w:r></w:ins>",
    "moved to": "<w:moveTo {W}><w:r><w:t>told</w:t></w:r></w:moveTo>",
    "moved from": "<w:moveFrom {W}><w:r><w:t>not told</w:t></w:r></w:moveFrom>",
    "deleted": "<w:del {W}><w:r><w:delText>not told</w:delText></w:r></w:del>",
    "control": "<w:sdt {W}><w:sdtPr/><w:sdtContent><w:ins><w:r><w:t>told</w:t></w:r></w:ins></w:sdtContent></w:sdt>",
    "field": '<w:fldSimple {W} w:instr="REF x"><w:r><w:t>told</w:t></w:r></w:fldSimple>',
    "smart tag": "<w:smartTag {W}><w:r><w:t>told</w:t></w:r></w:smartTag>",
}


def xml(text):
    return pytest.importorskip("docx").oxml.parse_xml(text.replace("{W}", W))


@pytest.mark.parametrize("what", IN_A_PARAGRAPH)
def test_what_word_puts_around_text(what):
    document = pytest.importorskip("docx").Document()
    document.add_paragraph("is: ")._p.append(xml(IN_A_PARAGRAPH[what]))
    told = "is: told" if "not told" not in IN_A_PARAGRAPH[what] else "is:"
    assert read("docx", saved(document)) == told


def test_controls_text_boxes_and_tables_in_tables_of_word():
    document = pytest.importorskip("docx").Document()
    paragraph = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    boxes = "".join(f"<w:txbxContent>{paragraph.format(text)}</w:txbxContent>" for text in ("box one", "box two"))
    compatible = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    document.add_paragraph("beside ").add_run()._r.append(
        xml(
            f"<mc:AlternateContent {compatible} {{W}}><mc:Choice Requires='wps'>{boxes}</mc:Choice>"
            f"<mc:Fallback><w:pict>{boxes}</w:pict></mc:Fallback></mc:AlternateContent>"
        )
    )
    control = f"<w:sdt {{W}}><w:sdtPr/><w:sdtContent>{paragraph.format('in a control')}</w:sdtContent></w:sdt>"
    document.element.body.insert(1, xml(control))
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "outer"
    table.cell(0, 1).add_table(1, 2).cell(0, 1).text = "inner"
    row = table.rows[0]._tr
    row.append(xml(f"<w:sdt {{W}}><w:sdtContent><w:tc>{paragraph.format('a cell')}</w:tc></w:sdtContent></w:sdt>"))
    text = read("docx", saved(document))
    assert text.split("\n\n")[:4] == ["beside", "box one", "box two", "in a control"]
    assert [part.strip() for part in re.split(r"[|\n]+", text)[-4:]] == ["outer", "", "inner", "a cell"]


def test_headers_and_footers_of_word():
    document = pytest.importorskip("docx").Document()
    document.add_paragraph("body")
    section = document.sections[0]
    section.header.paragraphs[0].text = "confidential"
    section.first_page_footer.paragraphs[0]._p.append(xml(IN_A_PARAGRAPH["inserted"]))
    document.add_section()
    assert read("docx", saved(document)) == "body\n\nconfidential\n\ntold"


def test_a_sheet_that_is_wrong_about_its_size_and_has_a_title():
    book, _ = xlsx()
    book.active.insert_rows(1, 2)
    book.active["A1"] = "Prices of 2026"
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(book))) as old, zipfile.ZipFile(content, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', old.read(entry)))
    assert read("xlsx", content.getvalue()) == "Prices\nPrices of 2026\nitem: owl; euro: 5\nitem: hawk; euro: 7.5"


@pytest.mark.parametrize(
    ("rows", "text"),
    [([["a"], ["b"]], "Sheet\na\nb"), ([["x", "y"]], "Sheet\nx; y"), ([["t"], ["x", "y"]], "Sheet\nt\nx; y")],
)
def test_a_sheet_without_a_table(rows, text):
    book = pytest.importorskip("openpyxl").Workbook()
    for row in rows:
        book.active.append(row)
    assert read("xlsx", saved(book)) == text


def test_pdf():
    assert read("pdf", pdf()) == "Owls are birds"
    with pytest.raises(UnreadableError, match="no text in it; if its pages are pictures"):
        read("pdf", pdf(b""))


def encrypted(password, algorithm):
    writer = pytest.importorskip("pypdf").PdfWriter(clone_from=io.BytesIO(pdf()))
    writer.encrypt(password, "the owner's", algorithm=algorithm)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_pdf_with_a_password_is_said_and_one_for_its_owner_alone_is_read(algorithm):
    assert read("pdf", encrypted("", algorithm)) == "Owls are birds"
    with pytest.raises(UnreadableError, match="it is locked by a password; remove that first"):
        read("pdf", encrypted("secret", algorithm))


@pytest.mark.parametrize("algorithm", ["AES-128", "AES-256"])
def test_the_library_that_an_encrypted_pdf_takes_is_named(algorithm):
    content = encrypted("", algorithm)
    program = (
        "import sys; sys.modules.update(cryptography=None, Crypto=None); "
        "from orchestra_magic.local.knowledge.readers import read; read('pdf', sys.stdin.buffer.read())"
    )
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=False)
    said = "UnreadableError: it is encrypted; to read it install cryptography: pip install 'orchestra-magic[documents]'"
    assert said in done.stderr.decode()


def test_the_extra_brings_what_encrypted_pdfs_take():
    # what is installed beside a working copy may be older than it
    described = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert re.search(r"^documents = \[[^]]*\"pypdf\[crypto\]", described, re.MULTILINE)


@pytest.mark.parametrize("kind", ["pdf", "docx", "pptx", "xlsx"])
def test_a_document_that_was_damaged_is_read_or_refused(kind):
    whole = pdf() if kind == "pdf" else saved({"docx": docx, "pptx": pptx, "xlsx": xlsx}[kind]()[0])
    choose = random.Random(7)
    refused = 0
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(10):
            damaged[choose.randrange(len(damaged))] = choose.randrange(256)
        for content in (bytes(damaged), whole[: choose.randrange(len(whole))]):
            try:
                assert read(kind, content)
            except UnreadableError:
                refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("txt", b"\xef\xbb\xbfa\r\nb", "a\nb"),
        ("txt", "für".encode("utf-16"), "für"),
        ("md", "für".encode("cp1252"), "für"),
        ("txt", b"\x1b[1mbold\x1b[0m\x0c" + b"x" * 200 + b"\x02", "\x1b[1mbold\x1b[0m\x0c" + "x" * 200 + "\x02"),
        ("json", b'[{"a": {"b": ["x", 1.5]}, "n": null}, "y"]', "a.b: x\na.b: 1.5\n\ny"),
        ("json", b'{"a": true}', "a: true"),
    ],
)
def test_texts(kind, content, text):
    assert read(kind, content) == text


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("txt", b"\x00\x01", "it is no text, or in an encoding that is not known; save it as text in UTF-8"),
        ("txt", bytes(range(1, 256)) * 4, "it is no text"),
        ("txt", b"abc\x01\x02", "it is no text"),
        ("md", "owls".encode("utf-16-le"), "it is no text"),
        ("txt", b" \n", "there is no text in it"),
        ("json", b"{", "it cannot be read as JSON \\(JSONDecodeError"),
        ("json", b"[" * 100_000, "nested too deeply"),
        ("docx", b"no zip", "it cannot be read as DOCX"),
    ],
)
def test_what_cannot_be_read_says_why(kind, content, message):
    if kind == "docx":
        pytest.importorskip("docx")
    with pytest.raises(UnreadableError, match=message):
        read(kind, content)


def test_formats(monkeypatch):
    assert [format_of(name) for name in ("a.TXT", "b.c.markdown", "d.json")] == ["txt", "md", "json"]
    with pytest.raises(UnreadableError, match=r"no reader for \.doc; there are: txt, md, json, pdf, docx, pptx, xlsx"):
        format_of("a.doc")
    with pytest.raises(UnreadableError, match="a name without an ending"):
        format_of("a")
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    with pytest.raises(UnreadableError, match=r"install pypdf: pip install 'orchestra-magic\[documents\]'"):
        format_of("a.pdf")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_a_document_that_unpacks_to_gigabytes_harms_nobody(local_server, kind):
    content = bomb(kind)
    assert len(content) < 15 << 20
    local_server.request("POST", "/knowledge_bases", json={"name": "bombs"})
    body = {"filename": f"x.{kind}", "content": base64.b64encode(content).decode()}
    response = local_server.request("POST", "/knowledge_bases/bombs/documents", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["detail"] == f"x.{kind}: it unpacks to more than 500 MB"
    assert local_server.finish("hello")["status"] == "completed"
    memory = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{local_server.pid}/status").read_text())
    assert int(memory.group(1)) < 1 << 20


def test_a_document_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(readers, "SECONDS", 1)
    content = slow_pdf()

    async def both():
        reader = Reader()
        with pytest.raises(UnreadableError, match="reading it took longer than 1 s"):
            await reader.chunks("pdf", content)
        return await reader.chunks("json", json.dumps({"a": "x" * 100_000}).encode())

    assert len(asyncio.run(both())) > 1


READER = "orchestra_magic.local.knowledge.readers"


def reading(server):
    """Return the processes that read documents for a server."""
    found = []
    for one in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += [one] if READER.encode() in Path(f"/proc/{one}/cmdline").read_bytes() else []
    return found


def stopped(server):
    """Stop the one process that reads a document, which then takes all the time that it may."""
    [reader] = map(int, reading(server))
    os.kill(reader, signal.SIGSTOP)
    return reader


def until(done):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def asked():
    """Send a document to a knowledge base of its own: return the connection that waits, when it is being read."""
    opened = []

    def ask(server, name, filename, content):
        server.request("POST", "/knowledge_bases", json={"name": name})
        body = json.dumps({"filename": filename, "content": base64.b64encode(content).decode()})
        url = urlsplit(server.base_url)
        connection = http.client.HTTPConnection(url.netloc, timeout=60)
        opened.append(connection)
        headers = {"Authorization": f"Bearer {server.token}"}
        connection.request("POST", f"{url.path}/knowledge_bases/{name}/documents", body, headers)
        until(lambda: reading(server))
        return connection

    yield ask
    for connection in opened:
        connection.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_a_reading_that_nobody_waits_for_ends(asked, local_server):
    connection = asked(local_server, "slow", "slow.pdf", pdf())
    stopped(local_server)
    connection.close()
    until(lambda: not reading(local_server))
    assert local_server.get("/knowledge_bases/slow")["document_count"] == 0
    # the log is looked at when the server is closed


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_a_base_that_is_deleted_while_a_document_is_read(asked, local_server):
    connection = asked(local_server, "short-lived", "a.json", json.dumps(["owls"] * 50_000).encode())
    reader = stopped(local_server)
    assert local_server.request("DELETE", "/knowledge_bases/short-lived").status_code == 200
    os.kill(reader, signal.SIGCONT)
    response = connection.getresponse()
    assert response.status == 404
    assert "there is no knowledge base 'short-lived'" in json.loads(response.read())["detail"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_a_server_that_stops_lets_a_reading_go(asked, make_server):
    server = make_server().start()
    connection = asked(server, "slow", "slow.pdf", pdf())
    stopped(server)
    server.stop()
    response = connection.getresponse()
    assert response.status == 503
    assert json.loads(response.read())["detail"] == "slow.pdf was not read: the server stops; add it again"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["docx", "pptx"])
def test_memory_is_limited_whatever_a_document_says_of_its_size(monkeypatch, kind):
    content = bomb(kind)
    program = (
        "import sys; from orchestra_magic.local.knowledge import readers; "
        "readers.UNPACKED = 1 << 60; sys.argv = ['readers', sys.argv[1]]; readers.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, kind], input=content, capture_output=True, timeout=120, check=False
    )
    assert json.loads(done.stdout)["error"] if done.returncode == 0 else not done.stdout


def test_a_document_that_kills_its_reader_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UnreadableError, match=r"the process that read it died \(exit status 1\)"):
        asyncio.run(Reader().chunks("pdf", b"x"))


def test_a_small_document_does_not_become_a_large_text():
    document = json.dumps({"k" * 100_000: [1] * 1000})
    assert len(read("json", document.encode())) < 300_000


def test_a_text_that_is_too_long(monkeypatch):
    monkeypatch.setattr(readers, "LONGEST", 10)
    with pytest.raises(UnreadableError, match="its text is longer than 10 characters"):
        read("txt", b"x" * 11)


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_reader_sees_no_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    program = f"""
import sys, types
from orchestra_magic.local.knowledge import readers
def read(kind, content):
    try:
        return open({str(secret)!r}).read()
    except OSError as error:
        return type(error).__name__
readers.read = read
sys.argv = ["readers", "pdf"]
readers.main()
"""
    done = subprocess.run([sys.executable, "-c", program], input=b"", capture_output=True, check=True)
    assert json.loads(done.stdout) == {"chunks": ["PermissionError"]}
