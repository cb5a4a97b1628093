"""The time that a picture takes, beside Graphviz on the same graph where its ``dot`` is there.

Run it with ``pytest tests/benchmarks/test_drawing.py -m slow -s``.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest

from orchestra_magic.views.diagram import Edge, Node, Picture, svg

from .figures import median, spread, table

ROUNDS = 15
SIZES = ((6, 1), (30, 6), (50, 12), (200, 50), (200, 150))
DOT_SECONDS = 15
MOST = {50: 50.0, 200: 300.0}
"""Milliseconds that a picture of so many nodes may take."""


def workflow(count: int, shortcuts: int) -> Picture:
    """Return a graph as workflows are: it goes on from one of the last nodes, joins, branches and loops."""
    chance = random.Random(count + shortcuts)
    edges = [Edge("START", "step_0")]
    edges += [Edge(f"step_{chance.randrange(max(0, i - 6), i)}", f"step_{i}") for i in range(1, count)]
    for _ in range(shortcuts):
        start, end = sorted(chance.sample(range(count), 2))
        edges.append(Edge(f"step_{start}", f"step_{end}", chance.choice(["", "", "score > 0.5"])))
    sources = {edge.source for edge in edges}
    edges += [Edge(f"step_{i}", "END") for i in range(count) if f"step_{i}" not in sources]
    edges.append(Edge(f"step_{count // 2}", f"step_{count // 4}", "again"))
    return Picture(tuple(Node(f"step_{i}", "model") for i in range(count)), tuple(edges))


def dot_source(picture: Picture) -> str:
    lines = [f'"{edge.source}" -> "{edge.target}" [label="{edge.label}"];' for edge in picture.edges]
    return "digraph { node [shape=box, width=2, height=0.6];\n" + "\n".join(lines) + "\n}"


def by_dot(dot: str, source: bytes) -> None:
    subprocess.run([dot, "-Tsvg"], input=source, capture_output=True, check=True, timeout=DOT_SECONDS)


def timed(
    draw: Callable[[], object], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    draw()
    times = []
    for _ in range(rounds):
        start = clock()
        draw()
        times.append(1000 * (clock() - start))
    return times


@pytest.mark.slow
def test_time_to_draw(capsys: pytest.CaptureFixture[str]) -> None:
    dot = shutil.which("dot")
    rows: list[list[str]] = []
    slow: list[tuple[int, float]] = []
    for count, shortcuts in SIZES:
        picture = workflow(count, shortcuts)
        low, middle, high = spread(timed(lambda picture=picture: svg(picture)))
        row = [f"{count} nodes, {len(picture.edges)} edges", f"{middle:.1f}", f"{low:.1f} to {high:.1f}"]
        if dot:
            source = dot_source(picture).encode()
            try:
                theirs = median(timed(lambda source=source: by_dot(dot, source), rounds=3))
                row += [f"{theirs:.1f}", f"{theirs / middle:.1f}"]
            except subprocess.TimeoutExpired:
                row += [f"over {1000 * DOT_SECONDS:.0f}", f"over {1000 * DOT_SECONDS / middle:.0f}"]
        rows.append(row)
        assert svg(picture).endswith("</svg>")
        # The processor's time of the fastest round: what else the machine does can only add to it.
        least = min(timed(lambda picture=picture: svg(picture), clock=time.process_time))
        slow += [(count, least)] if least > MOST.get(count, float("inf")) else []
    head = ["picture", "ms", "quartiles"] + (["dot, with its process", "times ours"] if dot else [])
    with capsys.disabled():
        print("\n" + table(head, rows) + ("" if dot else "\n(no Graphviz here to compare with)"))
    assert slow == []
