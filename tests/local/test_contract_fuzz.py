"""The running server against its own OpenAPI description: Schemathesis asks what the description allows, and what not.

No answer is a fault of the server, and each is what the description says.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .embedded import LocalServer
from .graphs import code, graph

ALWAYS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = 18


class Fuzzed:
    """A server that may be changed at will, and things in it whose names a guess would not find."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.root = f"http://{urlsplit(server.base_url).netloc}"
        self.schema = schemathesis.openapi.from_url(f"{self.root}/openapi.json", headers=dict(server.http.headers))
        # What a wrong token meets is tested elsewhere; here it would end every other case at the door.
        self.schema.config.generation.with_security_parameters = False
        self.requests = 0
        self.statuses: dict[int, int] = {}
        declared = {**graph({"a": code("{{n}}")}, "START a", "a END"), "input_data": {"n": {"default": 1}}}
        self.workflow = server.upload(declared, name="fuzzed")
        self.run = server.finish(self.workflow)["id"]
        self._base()
        server.request("POST", "/knowledge_bases/known/documents", json={"name": "a", "text": "some words"})

    def _base(self) -> str:
        assert self.server.request("POST", "/knowledge_bases", json={"name": "known"}).status_code == 200
        return "known"

    def existing(self, case: schemathesis.Case) -> dict[str, Any]:
        """Names in a path that lead somewhere; what is to be deleted is made for that."""
        if case.method.upper() == "DELETE" and "workflow_id" in case.path_parameters:
            return {"workflow_id": self.server.upload(graph({"a": code("1")}, "START a", "a END"), name="deleted")}
        if case.method.upper() == "DELETE":
            return {"name": self._base()}
        everything = {"workflow_id": self.workflow, "run_id": self.run, "name": self._base()}
        return {name: everything[name] for name in case.path_parameters}

    def ask(self, case: schemathesis.Case) -> None:
        """Send a case, twice in three times to what exists, and check what comes back."""
        checks = list(ALWAYS)
        said = repr((case.path_parameters, case.query, case.headers, case.body))
        if case.path_parameters and zlib.crc32(said.encode("utf-8", "replace")) % 3:
            case.path_parameters = self.existing(case)
        elif not case.path_parameters:
            checks.append(negative_data_rejection)
        response = case.call(base_url=self.root, headers=dict(self.server.http.headers))
        self.requests += 1
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
        case.validate_response(response, checks=checks)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    server = LocalServer(tmp_path_factory.mktemp("fuzzed")).start()
    found = Fuzzed(server)
    yield found
    print(f"\n{found.requests} requests: {dict(sorted(found.statuses.items()))}")
    server.close()


def fuzz(fuzzed: Fuzzed, examples: int) -> None:
    operations = [found.ok() for found in fuzzed.schema.get_all_operations()]
    assert len(operations) >= OPERATIONS
    before = fuzzed.requests
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def one(case: schemathesis.Case) -> None:
                fuzzed.ask(case)

            with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a request that says nothing
                one()
    assert fuzzed.requests - before > OPERATIONS * examples / 2
    assert {200, 400, 404} <= set(fuzzed.statuses)
    assert not [status for status in fuzzed.statuses if status >= 500]


def test_no_request_is_a_fault_of_the_server(fuzzed: Fuzzed) -> None:
    fuzz(fuzzed, 15)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_request_among_many_is_a_fault_of_the_server(fuzzed: Fuzzed) -> None:
    fuzz(fuzzed, 150)


def test_a_method_that_a_path_does_not_take_is_told_those_that_it_does(fuzzed: Fuzzed) -> None:
    names = {"workflow_id": "x", "run_id": "x", "name": "x"}
    for path, operations in fuzzed.schema.raw_schema["paths"].items():
        taken = {method.upper() for method in operations}
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"} - taken:
            answer = fuzzed.server.http.request(method, fuzzed.root + path.format(**names), timeout=60)
            assert answer.status_code == 405
            assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == taken


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/prune", {"days": 1e300}),
        ("POST", "/prune", {"days": 1e9, "keep": 10**30}),
        ("POST", "/prune", {"keep": 1.5}),
        ("POST", "/prune", {"keep": True}),
        ("POST", "/prune", {"keep": 0, "days": None}),
        ("GET", "/api/v1/workflow/workflows/{workflow}/runs?limit=" + "9" * 5000, None),
        ("GET", "/api/v1/workflow/workflows/{workflow}/runs?offset=" + "9" * 30, None),
        ("GET", "/api/v1/workflow/workflows/{workflow}/runs?limit=1&limit=x", None),
        ("POST", "/api/v1/workflow/workflows/{workflow}/execute", {"n": 10**400}),
        ("POST", "/api/v1/workflow/workflows/{workflow}/execute", {"\ud800": "\udfff", "n": "\x00"}),
        ("POST", "/api/v1/workflow/workflows", {"nodes": {"a": {"type": ["x"]}}, "edges": [[[], {}]]}),
        ("POST", "/api/v1/workflow/workflows", {"nodes": {"a": 10**400}, "edges": 10**30}),
    ],
)
def test_what_fuzzing_finds_seldom(method: str, path: str, body: Any, fuzzed: Fuzzed) -> None:
    url = fuzzed.root + path.replace("{workflow}", fuzzed.workflow)
    answer = fuzzed.server.http.request(method, url, json=body, timeout=60)
    assert answer.status_code < 500, answer.text
    json.loads(answer.content)


@pytest.mark.parametrize("digits", [4301, 100_000])
def test_a_number_that_is_too_long_is_no_fault(digits: int, fuzzed: Fuzzed) -> None:
    url = f"{fuzzed.server.base_url}/workflows/{fuzzed.workflow}/execute"
    answer = fuzzed.server.http.post(url, data='{"n": ' + "9" * digits + "}", timeout=60)
    assert answer.status_code == 400


@pytest.mark.parametrize("key", ["", " ", "\t"])
def test_an_empty_key_is_no_key(key: str, fuzzed: Fuzzed) -> None:
    for _ in range(2):
        answer = fuzzed.server.request(
            "POST", f"/workflows/{fuzzed.workflow}/execute", json={}, headers={"Idempotency-Key": key.strip() or ""}
        )
        assert answer.status_code == 400
        assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize("depth", [300, 5_000, 100_000, 4_000_000])
def test_a_document_as_deep_as_can_be(depth: int, fuzzed: Fuzzed) -> None:
    for document in ("[" * depth + "]" * depth, '{"a":' * (depth // 4) + "1" + "}" * (depth // 4)):
        for path in ("/workflows", f"/workflows/{fuzzed.workflow}/execute", "/knowledge_bases"):
            answer = fuzzed.server.http.post(fuzzed.server.base_url + path, data=document, timeout=60)
            assert answer.status_code in {200, 400}, answer.text[:300]
