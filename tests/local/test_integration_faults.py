"""Integrations of packages that are broken: they harm themselves alone, and the log says how."""

import asyncio

import pytest

from orchestra_magic.local.nodes import TYPES, Call, Node, NodeError
from orchestra_magic.local.nodes.integration import integrations

PACKAGE = """
import sys
from orchestra_magic.local.nodes.integration import Integration

class Ends:
    def __init__(self):
        sys.exit("no licence")

class Foreign:
    pass

class EndsLater(Integration):
    def check(self, node):
        sys.exit("no licence")

    async def run(self, inputs, call):
        sys.exit("no licence")
"""
ENTRIES = """
[orchestra_magic.integrations]
ends = broken_package:Ends
foreign = broken_package:Foreign
missing = broken_package:Missing
ends_later = broken_package:EndsLater
"""


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text(PACKAGE)
    about = tmp_path / "broken_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    integrations.cache_clear()
    yield
    integrations.cache_clear()


def test_those_that_cannot_be_had_are_left_out_and_the_log_says_why(caplog):
    assert sorted(integrations()) == ["ends_later", "http_request"]
    assert caplog.messages == [
        "the integration ends cannot be loaded: SystemExit('no licence')",
        "the integration foreign is left out: broken_package:Foreign gives no Integration",
        "the integration missing cannot be loaded: AttributeError(\"module 'broken_package' has no attribute 'Missing'\")",
    ]


def test_one_that_ends_its_process_fails_its_node(caplog):
    node = Node("ask", "integration", {"integration": "ends_later"})
    kind = TYPES["integration"]
    faults = list(kind.check(node, []))
    assert faults == [("integration", "the integration 'ends_later' cannot check this node: SystemExit: no licence")]
    call = Call(node, "run", node.name, {}, services=None)
    with pytest.raises(NodeError, match="the integration 'ends_later' failed: SystemExit: no licence"):
        asyncio.run(kind.run({}, call))
    assert any("SystemExit" in said for said in caplog.messages)
