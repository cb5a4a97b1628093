"""The page on graphs: each is uploaded and run as it stands there."""

import re
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "notebooks" / "graphs.md"
GRAPHS = {
    name.removesuffix(".yaml"): yaml.safe_load(text)
    for name, text in re.findall(
        r"\*\*`(.+?\.yaml)`\*\*\n\n```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
}
RUNS = [
    ("square", {"x": 7}, 49),
    ("grade", {"points": [80, 40]}, "passed with 60"),
    ("grade", {"points": [10]}, "failed with 10"),
    ("halve", {"start": 12}, "12 became 0.75"),
    ("look-up", {"question": "Where do storks breed?"}, "Storks breed on roofs."),
    ("look-up", {"question": "zebra"}, "nothing fits"),
]


def test_no_graph_of_the_page_is_left_out():
    assert set(GRAPHS) == {name for name, _, _ in RUNS} | {"explain"}


@pytest.mark.parametrize(("name", "inputs", "output"), RUNS)
def test_a_graph_as_it_stands(local_server, name, inputs, output):
    if name == "look-up":
        local_server.request("POST", "/knowledge_bases", json={"name": "birds"})
        document = {"name": "storks.md", "text": "Storks breed on roofs."}
        local_server.request("POST", "/knowledge_bases/birds/documents", json=document)
    run = local_server.finish(local_server.upload(GRAPHS[name], name=name), inputs)
    assert (run["status"], run["outputs"]) == ("completed", output)


def test_the_model_of_the_page_says_what_it_needs(local_server):
    """The tests' server has no model."""
    run = local_server.finish(local_server.upload(GRAPHS["explain"], name="explain"), {"word": "stork"})
    assert run["error"].startswith("answer: there is no model to ask")
