"""Knowledge bases: how texts are cut, what is found, and what a graph does with it."""

import base64
import io
import json
import stat
import zipfile
from itertools import pairwise

import pytest

from orchestra_magic.local.knowledge.chunks import OVERLAP, SIZE, split

from .documents import docx, pdf, pptx, saved, xlsx
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
    ("content", "encoding"),
    [
        ("für".encode(), None),
        ("für".encode("utf-16"), None),
        ("für".encode("cp1252"), "windows-1252"),
        ("Договор аренды".encode("cp1251"), "windows-1252"),
        ("東京都".encode("shift_jis"), "windows-1252"),
    ],
)
def test_an_encoding_that_was_guessed_is_said(notes, content, encoding):
    body = {"filename": "letter.txt", "content": base64.b64encode(content).decode()}
    notes.request("POST", "/knowledge_bases", json={"name": "letters"})
    added = notes.request("POST", "/knowledge_bases/letters/documents", json=body).json()
    assert added["chunks"] == 1
    assert added.get("guessed_encoding") == encoding


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
