"""The picture in words says what the picture says."""

from __future__ import annotations

from orchestra_magic.views.diagram import Edge, Node, Picture, alt, text

LOOP = Picture(
    (
        Node("START", "start"),
        Node("draft", "model"),
        Node("check", "conditional"),
        Node("tidy", "code"),
        Node("END", "end"),
    ),
    (
        Edge("START", "draft"),
        Edge("draft", "check"),
        Edge("check", "tidy", "score > 7"),
        Edge("check", "draft", "else"),
        Edge("tidy", "tidy"),
        Edge("tidy", "END"),
    ),
)


def test_the_sentence_says_it_all() -> None:
    assert alt(LOOP) == (
        "Workflow of 3 nodes. START leads to draft (model); draft leads to check (condition); check leads to tidy"
        " (code) if score > 7 and back to draft otherwise; tidy leads to itself and to END."
    )


def test_the_sentence_has_the_statuses() -> None:
    said = alt(LOOP, {"draft": "completed", "check": "running"})
    assert said.startswith(
        "Workflow of 3 nodes: 1 completed, 1 running, 1 not reached. START (completed) leads to draft"
    )
    assert "check (condition, running)" in said
    assert "tidy (code, not reached)" in said


def test_of_a_large_picture_the_sentence_tells_the_sum() -> None:
    nodes = tuple(Node(f"n{i}", "code") for i in range(100))
    statuses = {f"n{i}": "completed" for i in range(90)} | {"n95": "failed", "n96": "running"}
    assert alt(Picture(nodes), statuses) == (
        "Workflow of 100 nodes: 90 completed, 8 not reached, 1 failed, 1 running. Failed: n95. Running: n96."
    )


def test_the_list_for_a_terminal() -> None:
    assert text(LOOP).splitlines() == [
        "START             → draft",
        "draft  model      → check",
        "check  condition  → tidy [score > 7], draft [else] ↺",
        "tidy   code       → tidy ↺, END",
        "END",
    ]


def test_the_list_has_the_statuses() -> None:
    assert text(LOOP, {"draft": "completed", "check": "failed", "tidy": "pruned"}).splitlines() == [
        "✔ START  completed  → draft",
        "✔ draft  completed  → check",
        "✘ check  failed     → tidy [score > 7], draft [else] ↺",
        "⊘ tidy   pruned     → tidy ↺, END",
        "  END",
    ]


def test_server_text_cannot_leave_its_line() -> None:
    nasty = "a\n\x1b[2Jb\u202ec"
    picture = Picture((Node(nasty, nasty, nasty),), (Edge(nasty, "END", nasty),))
    for words in (text(picture, {nasty: nasty}), alt(picture, {nasty: nasty})):
        assert not set("\x1b\u202e") & set(words)
    assert len(text(picture).splitlines()) == 2


def test_columns_stand_straight_with_wide_characters() -> None:
    lines = text(Picture((Node("要約", "code"), Node("abcd", "code")), (Edge("要約", "abcd"),))).splitlines()
    assert lines == ["要約  code  → abcd", "abcd  code"]


def test_nothing() -> None:
    assert text(Picture()) == "no nodes"
    assert alt(Picture(), {}) == "Workflow of 0 nodes."
