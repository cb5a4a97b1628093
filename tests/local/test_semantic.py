"""Vectors: what means the same is found in other words, and without a model for it the answer says so."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from orchestra_magic.local.knowledge import bases as bases_module
from orchestra_magic.local.knowledge import searching
from orchestra_magic.local.knowledge import words as words_module
from orchestra_magic.local.knowledge.bases import Bases
from orchestra_magic.local.knowledge.vectors import Embedder
from orchestra_magic.local.models.process import ModelProcessError
from orchestra_magic.local.models.wordpiece import WordPiece, words

from .graphs import graph

semantic = pytest.mark.skipif(Embedder.unusable() is not None, reason=str(Embedder.unusable()))
DOCUMENTS = {
    "refund": "Customers may send goods back within thirty days and get their money returned.",
    "parking": "Cars can be left in the garage below the building; badges are at the reception.",
    "leave": "Everybody has six weeks of holiday a year, to be agreed with the team.",
    "laptop": "A broken computer is exchanged by the service desk on the second floor.",
    "part-x": "Order the seal for the pump as SKU-88214-X.",
    "part-y": "Order the seal for the pump as SKU-88215-Y.",
}
IN_OTHER_WORDS = {
    "Can I return what I bought?": "refund",
    "where do I put my vehicle": "parking",
    "how long is my vacation": "leave",
    "my notebook does not start any more": "laptop",
}


def node(**metadata):
    given = {"knowledge_base": "house", "query": "{{q}}", **metadata}
    return graph(
        {"find": {"type": "knowledge_retrieval", "metadata": given}}, "START find", "find END", selectedOutput="find"
    )


def fill(server):
    server.request("POST", "/knowledge_bases", json={"name": "house"})
    for name, text in DOCUMENTS.items():
        response = server.request("POST", "/knowledge_bases/house/documents", json={"name": name, "text": text})
        assert response.status_code == 200, response.text


@pytest.fixture(scope="module")
def house(local_server):
    fill(local_server)
    return local_server


@pytest.fixture
def find(house):
    def find(query, **metadata):
        workflow = house.upload(node(**metadata), name="house")
        run = house.finish(workflow, {"q": query})
        [step] = house.steps(workflow, run["id"])
        return run["outputs"]["data"], step

    return find


@semantic
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
@pytest.mark.parametrize(("query", "source"), IN_OTHER_WORDS.items())
def test_what_means_the_same_is_found(find, mode, query, source):
    data, step = find(query, mode=mode, top_k=3)
    assert data["results"][0]["source"] == source
    assert len(data["results"]) == 3
    scores = [one["score"] for one in data["results"]]
    assert 1 >= scores[0] >= scores[1] >= scores[2] > -1
    assert data["mode"] == mode
    assert step["step_metadata"] == {"mode": mode}


@semantic
@pytest.mark.parametrize(("query", "source"), [("SKU-88214-X", "part-x"), ("the seal SKU-88215-Y", "part-y")])
def test_words_settle_what_vectors_leave_open(find, query, source):
    data, _ = find(query, mode="hybrid")
    assert data["results"][0]["source"] == source


@semantic
def test_hybrid_finds_a_code_as_surely_as_words_do(tmp_path):
    faults = ("shows a blank screen", "drops the last column", "is slow in the morning", "crashes with photos")

    async def work(bases):
        await bases.create("tickets", None)
        for n in range(60):
            ticket = f"Ticket OPS-{10000 + 37 * n}\nReported by Anna Becker, customer {733101 + 977 * n}. The app {faults[n % 4]}."
            await bases.add("tickets", f"{n}", "txt", 1, [ticket])
        asked = {n: f"What is the status of OPS-{10000 + 37 * n}?" for n in range(0, 60, 6)}
        found_by = {n: await bases.search("tickets", query, 1, "hybrid") for n, query in asked.items()}
        return [n for n, found in found_by.items() if sources(found) != [f"{n}"]]

    assert _search(tmp_path, work) == []


def test_numbers_that_are_codes():
    assert words_module.codes("What of SKU-88214-X, 221b and the 3 of 12?") == ['"sku 88214 x"', '"88214"', '"221b"']
    assert words_module.codes("the 2nd of 10 steps") == []


def test_a_number_that_is_in_many_chunks_names_none(tmp_path):
    async def work(bases):
        await bases.create("house", None)
        await bases.add("house", "a", "txt", 1, [f"{'budget' if n == 20 else 'plan'} of 2024" for n in range(40)])
        rare = await bases._do("house", lambda db: searching._named(db, "in 2024"))
        await bases.add("house", "b", "txt", 1, ["2025"])
        return rare, await bases._do("house", lambda db: searching._named(db, "2024 and 2025"))

    assert _search(tmp_path, work) == (set(), {41})


def _search(folder, work):
    async def main():
        bases = Bases(folder)
        try:
            return await work(bases)
        finally:
            await bases.close()

    return asyncio.run(main())


async def _filled(bases):
    await bases.create("house", None)
    for name, text in DOCUMENTS.items():
        await bases.add("house", name, "txt", len(text), [text])


def sources(found):
    return [hit.source for hit in found.hits]


@semantic
def test_a_document_that_was_replaced_has_new_vectors(tmp_path):
    async def work(bases):
        await _filled(bases)
        before = await bases.search("house", "an animal that barks", 1, "vector")
        await bases.add("house", "refund", "txt", 1, ["The dog is in the yard at night.", "A cat sleeps."])
        after = await bases.search("house", "an animal that barks", 1, "vector")
        every = await bases.search("house", "anything", 50, "vector")
        return before, after, every

    before, after, every = _search(tmp_path, work)
    assert sources(before) != sources(after) == ["refund"]
    assert len(every.hits) == len(DOCUMENTS) + 1
    assert every.note is None


@semantic
def test_a_base_from_before_there_were_vectors(tmp_path):
    _search(tmp_path, _filled)
    with closing(sqlite3.connect(tmp_path / "house.sqlite")) as db:
        db.execute("DROP TABLE vectors")
        db.execute("PRAGMA user_version=1")
        db.commit()
    found = _search(tmp_path, lambda bases: bases.search("house", "Can I return what I bought?", 1, "vector"))
    assert (sources(found), found.mode) == (["refund"], "vector")


@semantic
def test_vectors_of_another_model_are_made_again(tmp_path):
    async def work(bases):
        await _filled(bases)
        await bases.search("house", "x", 1, "vector")

    _search(tmp_path, work)
    with closing(sqlite3.connect(tmp_path / "house.sqlite")) as db:
        db.execute("UPDATE vectors SET model = 'another', vector = zeroblob(8)")
        db.commit()
    found = _search(tmp_path, lambda bases: bases.search("house", "Can I return what I bought?", 1, "vector"))
    assert sources(found) == ["refund"]


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_without_the_model_words_are_used_and_the_answer_says_so(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(Embedder, "unusable", staticmethod(lambda: "onnxruntime is missing: pip install it"))

    async def work(bases):
        await _filled(bases)
        return await bases.search("house", "holiday", 5, mode)

    found = _search(tmp_path, work)
    assert (sources(found), found.mode) == (["leave"], "full_text")
    assert found.note == "searched by words alone: onnxruntime is missing: pip install it"


def test_a_model_that_fails_leaves_the_words(tmp_path, monkeypatch, caplog):
    async def embed(self, texts):
        raise ModelProcessError("the process of the model died")

    monkeypatch.setattr(Embedder, "unusable", staticmethod(lambda: None))
    monkeypatch.setattr(Embedder, "embed", embed)

    async def work(bases):
        await _filled(bases)
        return await bases.search("house", "holiday", 5, "hybrid")

    found = _search(tmp_path, work)
    assert (sources(found), found.mode) == (["leave"], "full_text")
    assert found.note == "searched by words alone: the process of the model died"
    assert "the vectors of the knowledge base house cannot be made" in caplog.text


ONE = b"\x00<" + b"\x00\x00" * 383  # one, and nothing else


@pytest.fixture
def fake(monkeypatch):
    """Use a model for which all texts are the same; return when its next answers come."""
    go = asyncio.Event()

    async def embed(self, texts):
        if len(texts) > 1:
            await go.wait()
        return [ONE for _ in texts]

    monkeypatch.setattr(Embedder, "unusable", staticmethod(lambda: None))
    monkeypatch.setattr(Embedder, "embed", embed)
    monkeypatch.setattr(bases_module, "_PATIENCE", 0.05)
    return go


@pytest.mark.parametrize(
    ("mode", "texts", "others"),
    [
        ("vector", ["owls"], "were not searched"),
        ("hybrid", ["kites", "owls"], "were searched by words alone"),
    ],
)
def test_what_is_not_indexed_in_time_is_said(tmp_path, fake, mode, texts, others):
    async def work(bases):
        await bases.create("house", None)
        await bases.add("house", "first", "txt", 1, ["owls"])
        await bases.search("house", "x", 1, "vector")
        await bases.add("house", "rest", "txt", 1, ["hawks", "kites"])
        return await bases.search("house", "kites", 5, mode)

    found = _search(tmp_path, work)
    assert found.note == f"1 of 3 chunks have their vectors by now: the others {others}"
    assert sorted(hit.text for hit in found.hits) == texts


def test_hybrid_finds_words_where_there_is_no_vector_at_all(tmp_path, fake):
    async def work(bases):
        await bases.create("house", None)
        await bases.add("house", "a", "txt", 1, ["hawks", "kites"])
        return await bases.search("house", "kites", 5, "hybrid")

    found = _search(tmp_path, work)
    assert [(hit.text, hit.score) for hit in found.hits] == [("kites", 0.9)]
    assert found.note == "0 of 2 chunks have their vectors by now: the others were searched by words alone"


def test_a_search_does_not_wait_long():
    assert bases_module._PATIENCE <= 5


def test_a_document_added_again_at_once_has_vectors(tmp_path, fake):
    async def work(bases):
        await bases.create("house", None)
        await bases.add("house", "a", "txt", 1, ["owls", "hawks"])
        await asyncio.sleep(0.1)  # the vectors of these are being made
        await bases.add("house", "a", "txt", 1, ["kites"])
        fake.set()
        return await bases.search("house", "x", 5, "vector")

    found = _search(tmp_path, work)
    assert ([hit.text for hit in found.hits], found.note) == (["kites"], None)


def test_a_server_goes_on_with_the_vectors_of_the_last_one(tmp_path, fake):
    async def stopped(bases):
        await bases.create("house", None)
        await bases.add("house", "a", "txt", 1, ["owls", "hawks"])

    async def started(bases):
        for _ in range(100):
            if await bases._do("house", lambda db: searching.progress(db, "vector")) is None:
                return True
            await asyncio.sleep(0.05)
        return False

    _search(tmp_path, stopped)
    fake.set()
    assert _search(tmp_path, started)


def test_the_missing_extra_is_named_in_a_line(monkeypatch):
    from orchestra_magic.local.knowledge import vectors

    monkeypatch.setattr(vectors, "find_spec", lambda name: None if name == "onnxruntime" else True)
    assert Embedder.unusable() == "onnxruntime is missing: pip install 'orchestra-magic[semantic]'"


@semantic
def test_the_step_says_what_was_searched_in_place_of_vectors(make_server, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'onnxruntime' else real(name, *a)\n"
    )
    server = make_server(PYTHONPATH=str(tmp_path)).start()
    fill(server)
    workflow = server.upload(node(mode="hybrid"), name="house")
    run = server.finish(workflow, {"q": "holiday"})
    data = run["outputs"]["data"]
    assert (data["mode"], data["instead_of"]) == ("full_text", "hybrid")
    assert data["note"] == "searched by words alone: onnxruntime is missing: pip install 'orchestra-magic[semantic]'"
    assert [one["source"] for one in data["results"]] == ["leave"]
    [step] = server.steps(workflow, run["id"])
    assert step["step_metadata"] == {key: data[key] for key in ("mode", "instead_of", "note")}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # as the library `tokenizers` numbers them by the same vocabulary
        ("Hello, World!", [101, 7592, 1010, 2088, 999, 102]),
        ("naïve café ÀÉ", [101, 15743, 7668, 29347, 102]),
        ("\x00\x01bad\ufffd\u200b zero\xadwidth", [101, 2919, 5717, 9148, 11927, 2232, 102]),
        ("ǅ İstanbul ß ﬁ", [101, 100, 9960, 1096, 1984, 102]),
        ("😀 emoji", [101, 100, 7861, 29147, 2072, 102]),
        ("知识库 abc", [101, 100, 100, 100, 5925, 102]),
        ("x" * 300, [101, 100, 102]),
        ("عربى नमस्ते", [101, 1288, 17149, 29816, 29837, 1327, 29867, 29874, 29859, 102]),
        ("SKU-88214-X", [101, 15315, 2226, 1011, 6070, 17465, 2549, 1011, 1060, 102]),
        ("", [101, 102]),
    ],
)
def test_texts_become_the_numbers_of_the_model(text, numbers):
    assert WordPiece().encode(text, 256) == numbers


def test_a_text_is_cut_into_windows():
    numbers = WordPiece().encode("owl hawk kite", 256)
    assert WordPiece().windows("owl hawk kite", 256, 8) == [numbers]
    assert WordPiece().windows("owl hawk kite", 4, 8) == [[101, *numbers[1:3], 102], [101, numbers[3], 102]]
    assert WordPiece().windows("owl hawk kite", 4, 1) == [[101, *numbers[1:3], 102]]
    assert WordPiece().windows("", 256, 8) == [[101, 102]]


@semantic
def test_the_end_of_a_chunk_of_numbers_is_found_too(tmp_path):
    def table(thing):
        rows = [f"item: bolt {n}; price: {n}.95; stock: {7 * n}; code: {1234 + n}-{chr(65 + n)}" for n in range(20)]
        return "\n".join([*rows, *[f"item: {thing}; price: 17.50; stock: 3; code: 8812-X"] * 2])

    things = ("toaster", "bicycle", "violin", "aquarium", "typewriter", "microscope")

    async def work(bases):
        await bases.create("prices", None)
        for thing in things:
            await bases.add("prices", thing, "txt", 1, [table(thing)])
        found = [await bases.search("prices", f"what does the {thing} cost", 1, "vector") for thing in things]
        return [source for one in found for source in sources(one)]

    assert _search(tmp_path, work) == list(things)


def test_a_long_text_is_cut():
    numbers = WordPiece().encode("owl " * 1000, 256)
    assert len(numbers) == 256
    assert (numbers[0], numbers[-1]) == (101, 102)
    assert list(words("a-b, C")) == ["a", "-", "b", ",", "c"]
