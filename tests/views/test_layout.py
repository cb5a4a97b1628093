"""Boxes never overlap, lines never pass through boxes of others, and the flow goes down."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra_magic.views.layout import LABEL_HEIGHT, Box, Link, Plan, layout

NEAR = 0.01


@st.composite
def graphs(draw, most=24, acyclic=False):
    """Boxes of several sizes; any links: joins, branches, cycles, parallel ones, some to the box itself."""
    count = draw(st.integers(1, most))
    sizes = st.tuples(st.sampled_from([60, 145, 250]), st.sampled_from([28, 46]))
    boxes = [Box(*draw(sizes), draw(st.sampled_from([0, 0, 0, 90]))) for _ in range(count)]
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(ends, max_size=2 * count))
    if acyclic:
        pairs = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    labels = st.sampled_from([0, 0, 0, 40, 160])
    return boxes, [Link(*pair, draw(labels)) for pair in pairs]


def rectangles(boxes: list[Box], plan: Plan) -> list[tuple[float, float, float, float]]:
    return [(x, y, x + box.width, y + box.height) for box, (x, y) in zip(boxes, plan.corners, strict=True)]


def meet(one, other) -> bool:
    return (
        one[0] < other[2] - NEAR and other[0] < one[2] - NEAR and one[1] < other[3] - NEAR and other[1] < one[3] - NEAR
    )


def touched(route) -> list[tuple[float, float, float, float]]:
    """The areas that a route stays in: its posts, and what lies between the ends of each bend."""
    areas = []
    for post in route.posts:
        areas.append((post.x - 1, min(post.enter, post.leave), post.x + 1, max(post.enter, post.leave)))
    for one, two in pairwise(route.posts):
        ys = sorted((one.leave, two.enter))
        xs = sorted((one.x, two.x))
        areas.append((xs[0] - 1, ys[0], xs[1] + 1, ys[1]))
    return areas


def check(boxes: list[Box], links: list[Link], plan: Plan) -> None:
    areas = rectangles(boxes, plan)
    asides = [(x2, y1, x2 + box.aside, y2) for (_, y1, x2, y2), box in zip(areas, boxes, strict=True) if box.aside]
    labels = []
    for link, route in zip(links, plan.routes, strict=True):
        assert bool(route.posts) == (link.source != link.target)
        assert (route.label is not None) == bool(link.label and route.posts)
        if route.label:
            x, y = route.label
            half = link.label / 2, LABEL_HEIGHT / 2
            labels.append((x - half[0], y - half[1], x + half[0], y + half[1]))
        if route.posts:
            start, end = areas[link.source], areas[link.target]
            first, last = route.posts[0], route.posts[-1]
            assert start[0] < first.x < start[2]
            assert end[0] < last.x < end[2]
            assert first.enter == pytest.approx(start[1] if route.back else start[3])
            assert last.leave == pytest.approx(end[3] if route.back else end[1])
        for box in set(range(len(boxes))) - {link.source, link.target}:
            assert not any(meet(areas[box], area) for area in touched(route)), (link, box)
    solid = [*areas, *asides, *labels]
    assert not [pair for pair in combinations(solid, 2) if meet(*pair)]
    assert all(x1 + NEAR >= 0 and y1 + NEAR >= 0 for x1, y1, _, _ in solid)
    assert all(x2 <= plan.width + NEAR and y2 <= plan.height + NEAR for _, _, x2, y2 in solid)


@settings(deadline=None)
@given(graphs())
def test_any_graph_is_laid_out_without_overlaps(graph) -> None:
    boxes, links = graph
    plan = layout(boxes, links)
    check(boxes, links, plan)
    assert plan == layout(boxes, links)


@settings(deadline=None)
@given(graphs(acyclic=True))
def test_without_cycles_every_link_runs_down(graph) -> None:
    boxes, links = graph
    plan = layout(boxes, links)
    for link, route in zip(links, plan.routes, strict=True):
        assert not route.back
        assert plan.corners[link.source][1] + boxes[link.source].height < plan.corners[link.target][1]


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(100, 200))
def test_large_graphs(random, count) -> None:
    boxes = [Box(random.choice([100, 145, 250]), 46) for _ in range(count)]
    links = [Link(random.randrange(max(0, i - 9), i), i) for i in range(1, count)]
    links += [Link(random.randrange(count), random.randrange(count), random.choice([0, 50])) for _ in range(30)]
    check(boxes, links, layout(boxes, links))


@settings(deadline=None)
@given(st.integers(1, 30), st.lists(st.sampled_from([60, 145, 250]), min_size=30, max_size=30))
def test_a_chain_is_straight(count, widths) -> None:
    boxes = [Box(width, 46) for width in widths[:count]]
    plan = layout(boxes, [Link(i, i + 1) for i in range(count - 1)])
    middles = {round(x + box.width / 2, 3) for box, (x, _) in zip(boxes, plan.corners, strict=True)}
    assert len(middles) == 1
    assert all(len({post.x for post in route.posts}) == 1 for route in plan.routes)


def test_a_chain_stays_straight_beside_loops_and_short_cuts() -> None:
    boxes = [Box(140, 46)] * 5
    links = [Link(i, i + 1) for i in range(4)] + [Link(0, 3), Link(4, 1), Link(2, 1), Link(1, 4)]
    plan = layout(boxes, links)
    assert len({x for x, _ in plan.corners}) == 1
    assert [route.back for route in plan.routes] == [False] * 5 + [True, True, False]
    check(boxes, links, plan)


def test_branches_stand_level_and_their_node_in_the_middle() -> None:
    boxes = [Box(140, 46)] * 5
    links = [Link(0, 1, 60), Link(0, 2, 60), Link(0, 3, 60), Link(1, 4), Link(2, 4), Link(3, 4)]
    plan = layout(boxes, links)
    assert len({plan.corners[branch][1] for branch in (1, 2, 3)}) == 1
    assert plan.corners[0][0] == plan.corners[2][0] == plan.corners[4][0]
    assert len({route.label[1] for route in plan.routes if route.label}) == 1


def test_crossings_that_can_be_avoided_are_avoided() -> None:
    boxes = [Box(100, 46)] * 6
    # as numbered, each branch would cross the other
    links = [Link(0, 1), Link(0, 2), Link(1, 4), Link(2, 3), Link(3, 5), Link(4, 5)]
    plan = layout(boxes, links)
    assert (plan.corners[1][0] < plan.corners[2][0]) == (plan.corners[4][0] < plan.corners[3][0])


@pytest.mark.parametrize("count", [20, 60])
def test_a_wide_fan_takes_several_rows(count) -> None:
    boxes = [Box(145, 46)] * (count + 2)
    links = [Link(0, i) for i in range(1, count + 1)] + [Link(i, count + 1) for i in range(1, count + 1)]
    plan = layout(boxes, links)
    assert plan.width < 1300
    check(boxes, links, plan)


def test_a_deep_picture_does_not_drift_aside() -> None:
    boxes = [Box(145, 46)] * 120
    links = [Link(max(0, i - 1 - i % 3), i) for i in range(1, 120)]
    plan = layout(boxes, links)
    assert plan.width < 1400
    check(boxes, links, plan)


def test_loose_boxes_fill_a_block() -> None:
    plan = layout([Box(145, 46)] * 50, [])
    assert plan.width < 1400
    assert plan.height < 1000


def test_nothing() -> None:
    assert layout([], []).corners == ()
