"""The SVG stands for itself, is legible, says each status in word, sign and colour, and lets nothing through."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra_magic.views.diagram import Edge, Node, Picture, img, svg
from orchestra_magic.views.diagram_icons import TINTS
from orchestra_magic.views.diagram_lettering import cut, width
from orchestra_magic.views.diagram_picture import KINDS
from orchestra_magic.views.diagram_status import LOOKS, NOT_REACHED, UNKNOWN

SVG = "{http://www.w3.org/2000/svg}"
STATUSES = ["queued", "running", "completed", "failed", "cancelled", "skipped", "pruned", "teleported"]

BRANCH = Picture(
    (
        Node("START", "start"),
        Node("ask", "model", "virtuoso-large"),
        Node("route", "conditional"),
        Node("good", "code"),
        Node("bad", "integration", "Send a message to the team"),
        Node("END", "end"),
    ),
    (
        Edge("START", "ask"),
        Edge("ask", "route"),
        Edge("route", "good", "score > 0.5"),
        Edge("route", "bad", "else"),
        Edge("route", "ask", "again"),
        Edge("good", "END"),
        Edge("bad", "END"),
    ),
)

hostile = st.text(max_size=40) | st.sampled_from(
    ["<script>alert(1)</script>", '"onload="x', "]]>", "&#0;", "\u202eevil", "\x00\x1b\uffff", "\ud800", " ", "x" * 900]
)


def parsed(source: str) -> ET.Element:
    return ET.fromstring(source)


def texts(source: str) -> list[str]:
    return ["".join(each.itertext()) for each in parsed(source).iter(SVG + "text")]


def titles(source: str) -> list[str]:
    return [each.text or "" for each in parsed(source).iter(SVG + "title")]


def shapes(source: str) -> list[tuple[ET.Element, float, float, float, float]]:
    """Every rectangle, where it stands within the page."""
    found = []
    for group, dx in ((parsed(source), 0.0), (parsed(source).find(SVG + "g"), 18.0)):
        each_rect = group.iter(SVG + "rect") if dx else group.findall(SVG + "rect")
        for each in each_rect:
            x, y, wide, high = (float(each.get(name, 0)) for name in ("x", "y", "width", "height"))
            found.append((each, x + dx, y + dx, wide, high))
    return found


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ground(source: str, x: float, y: float) -> str:
    """The fill of the topmost rectangle under a point."""
    fills = [
        each.get("fill")
        for each, left, top, wide, high in shapes(source)
        if left <= x <= left + wide and top <= y <= top + high and each.get("fill") != "none"
    ]
    return fills[-1]


@pytest.mark.parametrize("status", [None, *STATUSES])
def test_all_text_has_contrast(status) -> None:
    statuses = None if status is None else dict.fromkeys(["START", "ask", "route", "good", "bad", "END"], status)
    source = svg(BRANCH, statuses)
    drawn = list(parsed(source).find(SVG + "g").iter(SVG + "text"))
    assert len(drawn) > 10
    for each in drawn:
        at = ground(source, float(each.get("x")) + 19, float(each.get("y")) + 14)
        assert contrast(each.get("fill"), at) >= 4.5, (each.text, each.get("fill"), at)


def test_the_palette_has_contrast() -> None:
    assert all(contrast(each.ink, each.ground) >= 4.5 for each in [*LOOKS.values(), UNKNOWN, NOT_REACHED])
    assert all(contrast(ink, tint) >= 4.5 for ink, tint in TINTS.values())


def test_each_status_differs_in_more_than_colour() -> None:
    signs = [look.icon for look in LOOKS.values()]
    assert len(set(signs)) == len(LOOKS)
    for status in STATUSES:
        source = svg(BRANCH, {"ask": status})
        assert status in texts(source)
        assert any(title.endswith(f"· {status}") for title in titles(source))


def test_a_status_of_no_known_kind_is_shown_raw() -> None:
    assert "Half-baked" in texts(svg(BRANCH, {"ask": "Half-baked"}))


def test_the_running_node_pulses_and_no_other() -> None:
    assert svg(BRANCH, {"ask": "running"}).count("<animate ") == 2
    assert "<animate" not in svg(BRANCH, {"ask": "completed", "route": "queued"})


def test_a_run_does_not_move_the_picture() -> None:
    def places(statuses) -> list[tuple[float, ...]]:
        return [tuple(rest) for rect, *rest in shapes(svg(BRANCH, statuses)) if rect.get("fill") != "none"]

    plain = places(None)
    assert all(places(dict.fromkeys(["ask", "good", "bad"], status)) == plain for status in STATUSES)


def test_start_and_end_are_inferred() -> None:
    def said(statuses) -> dict[str, str]:
        return dict(
            title.split(" · ", 1) for title in titles(svg(BRANCH, statuses)) if re.match(r"(START|END) ·", title)
        )

    done = {"ask": "completed", "route": "completed", "good": "completed", "bad": "skipped"}
    assert said({}) == {}
    assert said({"ask": "queued"}) == {}
    assert said({"ask": "running"}) == {"START": "completed"}
    assert said(done) == {"START": "completed", "END": "completed"}
    assert said(done | {"bad": "running"}) == {"START": "completed"}
    assert said(done | {"good": "failed"}) == {"START": "completed"}
    assert said({"ask": "failed", "END": "skipped"}) == {"START": "completed", "END": "skipped"}


def test_the_way_of_the_run_is_drawn_bolder() -> None:
    source = svg(BRANCH, {"ask": "completed", "route": "completed", "good": "running", "bad": "skipped"})
    bold = {
        group.find(SVG + "title").text
        for group in parsed(source).iter(SVG + "g")
        if any(path.get("stroke-width") == "2" and path.get("fill") == "none" for path in group.findall(SVG + "path"))
        and " to " in (group.find(SVG + "title").text or "")
    }
    assert bold >= {"START to ask", "ask to route", "route to good: score > 0.5"}
    assert not any("bad" in title or "again" in title for title in bold)


def test_loops_are_dashed_and_of_another_colour() -> None:
    source = svg(Picture(BRANCH.nodes, (*BRANCH.edges, Edge("good", "good", "retry"))))
    groups = {(group.findtext(SVG + "title") or ""): group for group in parsed(source).iter(SVG + "g")}
    climbing = {title for title, group in groups.items() if group.find(SVG + "path[@stroke-dasharray]") is not None}
    assert climbing == {"route to ask: again", "good to itself: retry"}


def test_it_needs_nothing_else() -> None:
    source = svg(BRANCH, {"ask": "running"})
    root = parsed(source)
    assert root.get("role") == "img"
    assert root.get("aria-label", "").startswith("Workflow of 4 nodes: ")
    assert root.find(SVG + "title").text == "Workflow of 4 nodes: 3 not reached, 1 running"
    names = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert names == {"svg", "title", "g", "rect", "path", "text", "animate"}
    attributes = {name for each in root.iter() for name in each.attrib}
    assert not attributes & {"id", "class", "style", "href", "onload"}
    assert not re.search(r"url\(|href|javascript|https?://(?!www\.w3\.org/2000/svg\")", source)


def test_text_fits_its_box() -> None:
    name, description = "a_name_without_an_end_" * 6, "Says so much that no box can hold it " * 9
    source = svg(
        Picture((Node(name, "model", description), Node("W" * 40), Node("漢字" * 20, "code"))), {name: "x" * 99}
    )
    assert name in titles(source)[1]
    for group in parsed(source).find(SVG + "g").findall(SVG + "g"):
        box = group.find(SVG + "rect")
        end = float(box.get("x")) + float(box.get("width"))
        for each in group.findall(SVG + "text"):
            size = float(each.get("font-size"))
            assert float(each.get("x")) + width(each.text, size) <= end - 6
    assert any(each.endswith("…") for each in texts(source))


@given(st.text("abcdefgh iWl", min_size=1, max_size=24).filter(str.strip))
def test_a_box_is_as_wide_as_its_text_up_to_a_limit(words) -> None:
    shown = texts(svg(Picture((Node("n", "code", words),))))
    assert shown == ["n", " ".join(words.split())]


def test_an_emoji_is_not_cut_apart() -> None:
    family = "👩\u200d👩\u200d👧"
    assert cut(family * 9, 10, 100).rstrip("…").count("\u200d") % 2 == 0
    assert cut("e\u0301" * 50, 10, 60).endswith("\u0301…")


@settings(deadline=None)
@given(st.lists(hostile, min_size=4, max_size=4), st.sampled_from([*KINDS, "", "check", "<b>"]))
def test_server_text_does_nothing_but_show(words, kind) -> None:
    name, description, label, status = words
    picture = Picture((Node(name, kind, description),), (Edge(name, "END", label), Edge(name, name, label)))
    source = svg(picture, {name: status})
    root = parsed(source)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "g",
        "rect",
        "path",
        "text",
        "animate",
    }
    shown = "".join([*root.itertext(), root.get("aria-label", "")])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", shown)
    assert img(picture, {name: status}).count("<") == 1


class Image(HTMLParser):
    def handle_starttag(self, tag, attrs) -> None:
        self.tag, self.attrs = tag, dict(attrs)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_image_holds_the_picture_and_its_size(count) -> None:
    picture = Picture(tuple(Node(f"n{i}") for i in range(count)), tuple(Edge("n0", f"n{i}") for i in range(1, count)))
    image = Image()
    image.feed(img(picture))
    head, data = image.attrs["src"].split(",")
    assert (image.tag, head) == ("img", "data:image/svg+xml;base64")
    source = base64.b64decode(data).decode()
    assert source == svg(picture)
    assert image.attrs["alt"].startswith(f"Workflow of {count} node")
    wide, high = int(image.attrs["width"]), int(image.attrs["height"])
    root = parsed(source)
    assert wide == min(880, int(root.get("width")))
    assert high / wide == pytest.approx(int(root.get("height")) / int(root.get("width")), rel=0.01)


def test_a_small_workflow_is_modest_in_height() -> None:
    assert 300 <= int(parsed(svg(BRANCH)).get("height")) <= 450
    chain = [f"step_{i}" for i in range(4)]
    edges = [Edge(one, two) for one, two in zip(["START", *chain], [*chain, "END"], strict=True)]
    assert 300 <= int(parsed(svg(Picture((), tuple(edges)))).get("height")) <= 450


def test_odd_pictures() -> None:
    assert texts(svg(Picture())) == ["no nodes"]
    assert "(no name)" in texts(svg(Picture((Node(""),))))
    assert texts(svg(Picture((Node("a"), Node("a", "model")), (Edge("a", "b"), Edge("a", "b"))))) == [
        "a",
        "step",
        "b",
        "step",
    ]
    huge = Picture(tuple(Node(str(i)) for i in range(2_000)))
    assert texts(svg(huge)) == ["too large to draw: 2000 nodes, 0 edges"]
