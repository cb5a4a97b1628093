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


def timed(draw: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    draw()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        draw()
        times.append(1000 * (time.perf_counter() - start))
    return times


@pytest.mark.slow
def test_time_to_draw(capsys: pytest.CaptureFixture[str]) -> None:
    dot = shutil.which("dot")
    rows = []
    for count, shortcuts in SIZES:
        picture = workflow(count, shortcuts)
        low, middle, high = spread(timed(lambda picture=picture: svg(picture)))
        row = [f"{count} nodes, {len(picture.edges)} edges", f"{middle:.1f}", f"{low:.1f} to {high:.1f}"]
        if dot:
            source = dot_source(picture).encode()
            theirs = timed(
                lambda source=source: subprocess.run([dot, "-Tsvg"], input=source, capture_output=True, check=True),
                rounds=3,
            )
            row += [f"{median(theirs):.1f}", f"{median(theirs) / middle:.1f}"]
        rows.append(row)
        assert svg(picture).endswith("</svg>")
    head = ["picture", "ms", "quartiles"] + (["dot, with its process", "times ours"] if dot else [])
    with capsys.disabled():
        print("\n" + table(head, rows))
