"""Knowledge bases: how documents are read and cut, what is found, and what a graph does with it."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import random
import re
import stat
import subprocess
import sys
import time
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestra_magic.local.knowledge import readers
from orchestra_magic.local.knowledge.chunks import OVERLAP, SIZE, split
from orchestra_magic.local.knowledge.readers import UnreadableError, format_of, read
from orchestra_magic.local.knowledge.reading import Reader
from orchestra_magic.local.sandbox import landlock

from .graphs import graph

OWLS = "Owls hunt at night.\n\nTheir feathers make no sound.\n"
OFFICE = "The office opens at nine.\n\nParking badges are SKU-88214-X.\n\nExpenses are paid on Fridays."


def retrieval(**metadata):
    node = {"type": "knowledge_retrieval", "metadata": {"knowledge_base": "notes", "query": "{{q}}", **metadata}}
    return graph({"find": node}, "START find", "find END", selectedOutput="find")


@pytest.fixture(scope="module")
def notes(local_server):
    local_server.request("POST", "/knowledge_bases", json={"name": "notes", "description": "ours"})
    for name, text in (("owls.md", OWLS), ("office.txt", OFFICE), ("知识.txt", "知识库很有用。今天天气很好。")):
        response = local_server.request("POST", "/knowledge_bases/notes/documents", json={"name": name, "text": text})
        assert response.status_code == 200, response.text
    return local_server


@pytest.fixture
def find(notes):
    def find(query, **metadata):
        workflow = notes.upload(retrieval(**metadata), name="find")
        run = notes.finish(workflow, {"q": query})
        [step] = notes.steps(workflow, run["id"])
        return run, step

    return find


def words(count, begin=0):
    return " ".join(f"w{n}" for n in range(begin, begin + count))


def test_a_short_text_is_one_chunk():
    assert split("  one two.\n\nthree  ") == ["one two.\n\nthree"]
    assert split(" \n\n ") == []


def test_chunks_end_with_paragraphs_and_share_words():
    paragraphs = [words(60, 100 * n) + "." for n in range(8)]
    chunks = split("\n\n".join(paragraphs))
    assert all(len(chunk.split()) <= SIZE for chunk in chunks)
    assert all(any(chunk.endswith(one) for one in paragraphs) for chunk in chunks)
    for before, after in pairwise(chunks):
        shared = set(before.split()) & set(after.split())
        assert 0 < len(shared) <= OVERLAP
    assert {word for chunk in chunks for word in chunk.split()} == {w for one in paragraphs for w in one.split()}


@pytest.mark.parametrize("text", [words(1000), "x" * 100_000, "知" * 1000, "知识。" * 500, "a\n" * 1000, "a. " * 1000])
def test_a_text_without_paragraphs_is_cut_all_the_same(text):
    chunks = split(text)
    assert len(chunks) >= 5
    assert all(len(chunk.split()) <= SIZE for chunk in chunks)
    assert all(chunk in text for chunk in chunks)
    assert chunks[0] == text[: len(chunks[0])]
    assert text.rstrip().endswith(chunks[-1])


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


@pytest.mark.parametrize("make", [docx, pptx, xlsx])
def test_documents_of_offices(make):
    document, text = make()
    assert read(make.__name__, saved(document)) == text


def test_pdf():
    assert read("pdf", pdf()) == "Owls are birds"
    with pytest.raises(UnreadableError, match="no text in it; if its pages are pictures"):
        read("pdf", pdf(b""))


@pytest.mark.parametrize(("password", "text"), [("", "Owls are birds"), ("secret", None)])
def test_a_pdf_with_a_password_is_said_and_one_for_its_owner_alone_is_read(password, text):
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf()))
    writer.encrypt(password, "the owner's", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    if text:
        assert read("pdf", file.getvalue()) == text
    else:
        with pytest.raises(UnreadableError, match="it is locked by a password"):
            read("pdf", file.getvalue())


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
        ("json", b'[{"a": {"b": ["x", 1.5]}, "n": null}, "y"]', "a.b: x\na.b: 1.5\n\ny"),
        ("json", b'{"a": true}', "a: true"),
    ],
)
def test_texts(kind, content, text):
    assert read(kind, content) == text


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("txt", b"\x00\x01", "it is no text"),
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


def test_a_base_from_its_making_to_its_end(local_server):
    ask = local_server.request
    made = ask("POST", "/knowledge_bases", json={"name": "shelf", "description": "books"}).json()
    assert list(made) == ["name", "description", "created_at", "updated_at", "document_count", "chunk_count"]
    assert ask("POST", "/knowledge_bases", json={"name": "shelf"}).json() == made
    path = local_server.home / "local" / "data" / "knowledge" / "shelf.sqlite"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    added = ask("POST", "/knowledge_bases/shelf/documents", json={"name": "a.md", "text": OWLS}).json()
    assert (added["name"], added["format"], added["size"], added["chunks"]) == ("a.md", "md", len(OWLS), 1)
    assert added["replaced"] is False
    again = ask("POST", "/knowledge_bases/shelf/documents", json={"name": "a.md", "text": words(900)}).json()
    assert (again["replaced"], again["chunks"]) == (True, 6)
    whole = local_server.get("/knowledge_bases/shelf")
    assert (whole["document_count"], whole["chunk_count"]) == (1, 6)
    assert [one["name"] for one in whole["documents"]] == ["a.md"]
    assert "shelf" in [one["name"] for one in local_server.get("/knowledge_bases")]
    assert ask("DELETE", "/knowledge_bases/shelf").json() == whole
    assert ask("GET", "/knowledge_bases/shelf").status_code == 404
    assert not path.exists()


def test_a_file_is_read_in_a_process_of_its_own(local_server):
    document, _ = docx()
    local_server.request("POST", "/knowledge_bases", json={"name": "files"})
    path = "/knowledge_bases/files/documents"
    body = {"filename": "leave.docx", "content": base64.b64encode(saved(document)).decode()}
    assert local_server.request("POST", path, json=body).json()["format"] == "docx"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b" " * (1 << 28))
    broken = local_server.request(
        "POST", path, json={"filename": "x.docx", "content": base64.b64encode(bomb.getvalue()).decode()}
    )
    assert broken.status_code == 400
    assert broken.json()["detail"].startswith("x.docx: it cannot be read")
    assert local_server.get("/knowledge_bases/files")["document_count"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("", {"name": "a b"}, 400, "'a b' is no name for a knowledge base"),
        ("", {"name": "../x"}, 400, "'../x' is no name for a knowledge base"),
        ("", {"name": "Notes"}, 400, "there is a knowledge base 'notes', whose name differs in case alone"),
        ("", {}, 400, "a knowledge base needs a name"),
        ("/nope/documents", {"name": "a", "text": "b"}, 404, "there is no knowledge base 'nope'; there are: "),
        ("/notes/documents", {"text": "b"}, 400, "a document needs a name"),
        ("/notes/documents", {"name": "b"}, 400, "a document is text or a file"),
        ("/notes/documents", {"name": "b", "text": " "}, 400, "b: there is no text in it"),
        ("/notes/documents", {"filename": "b.txt", "content": "%"}, 400, "the content of b.txt is not base64"),
        ("/notes/documents", {"filename": "b.doc", "content": "eA=="}, 400, "b.doc: there is no reader for .doc"),
        ("/notes/documents", [], 400, "the body is to be a JSON object"),
    ],
)
def test_refusals(notes, path, body, status, detail):
    response = notes.request("POST", f"/knowledge_bases{path}", json=body)
    assert (response.status_code, response.json()["detail"][: len(detail)]) == (status, detail)


def test_documents_have_a_limit_of_their_own(notes):
    url = "/knowledge_bases/notes/documents"
    large = notes.request("POST", url, json={"name": "large", "text": "x" * ((15 << 20) + 1)})
    assert (large.status_code, large.json()["detail"]) == (413, "large is larger than 15 MB")
    assert notes.request("POST", url, data=b"x" * 48_000_001).status_code == 413


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("what do owls hunt?", "owls.md"),
        ("hunting", "owls.md"),
        ("SKU-88214-X", "office.txt"),
        ("When is the office opened", "office.txt"),
        ("知识", "知识.txt"),
        ('"quoted" OR owls*) NEAR (', "owls.md"),
    ],
)
def test_what_is_found(find, query, source):
    run, step = find(query)
    assert set(run["outputs"]) == {"data", "error", "successful", "successfull"}
    first = run["outputs"]["data"]["results"][0]
    assert list(first) == ["text", "score", "source"]
    assert (first["source"], first["score"]) == (source, 1.0)
    assert step["inputs"]["query"] == query
    assert step["step_metadata"] == {"mode": "full_text"}
    assert run["outputs"]["data"]["mode"] == "full_text"


def test_nothing_found_is_no_failure(find):
    run, _ = find("zebra")
    assert (run["status"], run["outputs"]["data"]["results"]) == ("completed", [])


def test_how_many_are_found_can_be_said(find):
    assert len(find("office owls", top_k=1)[0]["outputs"]["data"]["results"]) == 1
    assert len(find("office owls")[0]["outputs"]["data"]["results"]) == 2


@pytest.mark.parametrize(
    ("query", "metadata", "error"),
    [
        ("x", {"knowledge_base": "nope"}, "find: there is no knowledge base 'nope'; there are: "),
        ("x", {"knowledge_base": "{{q}}"}, "find: there is no knowledge base 'x'; there are: "),
        (" ", {}, "find: the query is empty"),
        ("x", {"top_k": "{{q}}"}, "find: top_k is a whole number from 1 to 100"),
        ("x", {"mode": "{{q}}"}, "find: there is no mode 'x'; there are: full_text, vector, hybrid"),
    ],
)
def test_a_search_that_cannot_be_made_fails_the_run(find, query, metadata, error):
    run, _ = find(query, **metadata)
    assert run["status"] == "failed"
    assert run["error"].startswith(error)
    if "there are" in error and "base" in error:
        assert "notes" in run["error"]


def test_faults_of_an_upload(local_server):
    response = local_server.request(
        "POST", "/workflows", json=retrieval(knowledge_base="", query=5, mode="magic", top_k=0)
    )
    found = {one["field"]: one["message"] for one in response.json()["detail"]}
    assert found == {
        "knowledge_base": "a knowledge retrieval node needs the name of a knowledge base here, as text",
        "query": "a knowledge retrieval node needs what to search for here, as text",
        "mode": "there is no mode 'magic'; there are: full_text, vector, hybrid",
        "top_k": "top_k is a whole number from 1 to 100",
    }


FORMATS = {
    "a.txt": b"The lynx lives in the forest.",
    "b.md": b"# Lynx\n\nA lynx has tufts on its ears.",
    "c.json": b'[{"animal": "lynx", "speed": 80}]',
}


def test_every_format_is_found_by_a_run(local_server):
    document, show, book = (make()[0] for make in (docx, pptx, xlsx))
    document.add_paragraph("The lynx of the report.")
    show.slides[0].shapes.title.text = "The lynx of the talk"
    book.active.append(["lynx", 9])
    files = FORMATS | {
        "d.docx": saved(document),
        "e.pptx": saved(show),
        "f.xlsx": saved(book),
        "g.pdf": pdf(b"BT /F1 12 Tf 9 9 Td (The lynx on paper) Tj ET"),
    }
    local_server.request("POST", "/knowledge_bases", json={"name": "lynxes"})
    for name, content in files.items():
        body = {"filename": name, "content": base64.b64encode(content).decode()}
        response = local_server.request("POST", "/knowledge_bases/lynxes/documents", json=body)
        assert response.status_code == 200, response.text
    workflow = local_server.upload(retrieval(knowledge_base="lynxes", top_k=20), name="lynxes")
    found = local_server.finish(workflow, {"q": "lynx"})["outputs"]["data"]["results"]
    assert {one["source"] for one in found} == set(files)
    texts = {one["source"]: one["text"] for one in found}
    assert texts["f.xlsx"].endswith("item: lynx; euro: 9")
    assert texts["g.pdf"] == "The lynx on paper"


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


def until(done):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def asked(make_server):
    """Send a document that takes a minute to read: return the server and the connection that waits for the answer."""
    server = make_server().start()
    server.request("POST", "/knowledge_bases", json={"name": "slow"})
    body = json.dumps({"filename": "slow.pdf", "content": base64.b64encode(slow_pdf()).decode()})
    url = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    headers = {"Authorization": f"Bearer {server.token}"}
    connection.request("POST", f"{url.path}/knowledge_bases/slow/documents", body, headers)
    until(lambda: reading(server))
    yield server, connection
    connection.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_a_reading_that_nobody_waits_for_ends(asked):
    server, connection = asked
    connection.close()
    until(lambda: not reading(server))
    assert server.get("/knowledge_bases/slow")["document_count"] == 0
    # the log is looked at when the server is closed


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_a_server_that_stops_lets_a_reading_go(asked):
    server, connection = asked
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


def test_what_was_added_is_there_after_a_restart(restarted):
    restarted.request("POST", "/knowledge_bases", json={"name": "lasting"})
    restarted.request("POST", "/knowledge_bases/lasting/documents", json={"name": "a", "text": OWLS})
    before = restarted.get("/knowledge_bases/lasting")
    restarted.kill()
    restarted.start()
    assert restarted.get("/knowledge_bases/lasting") == before
    workflow = restarted.upload(retrieval(knowledge_base="lasting"), name="lasting")
    found = restarted.finish(workflow, {"q": "feathers"})["outputs"]["data"]["results"]
    assert [one["text"] for one in found] == [OWLS.strip()]
    json.dumps(found)
