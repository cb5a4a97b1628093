"""The integration node: connections to other services, ours and those that other packages bring.

Another package adds one by an entry point in the group ``orchestra_magic.integrations``: a subclass of
:class:`Integration`, under the name that graphs use.
"""

from __future__ import annotations

import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .. import references, secrets
from ..values import plain
from .base import Call, Node, NodeError, NodeType, Outcome

GROUP = "orchestra_magic.integrations"
COMMON = ("description", "output_mapping", "retries", "integration")
"""Members of the node's ``metadata`` that are no parameters."""
_FAULTS = (Exception, SystemExit)  # a package of somebody else may end itself, and is not to end the server
_log = logging.getLogger(__name__)
_given: ContextVar[list[str]] = ContextVar("_given")


class Integration(ABC):
    """One service. Its parameters are the members of the node's ``metadata``."""

    def check(self, node: Node) -> Iterator[tuple[str, str]]:
        """Yield each fault of a node as (field, message)."""
        del node
        return iter(())

    @abstractmethod
    async def run(self, inputs: dict[str, Any], call: Call) -> dict[str, Any]:
        """Do the work; return the members of ``data``, ``results`` among them.

        A member ``error`` that is not empty says what the service refused: the run goes on.
        A second try after a crash has the same ``call.idempotency_key``: send it where the service takes one.

        Raises
        ------
        NodeError
            If there is no answer; the run fails with it.
        """

    async def secret(self, name: str, call: Call) -> str:
        """Return the key ``ORCHESTRA_SECRET_`` + ``name``, from the server's environment or the keyring.

        Wherever it turns up in the answer or in an error, the step shows ``***``.

        Raises
        ------
        NodeError
            If there is none, or the workflow was uploaded as not trusted.
        """
        if not call.trusted:
            raise NodeError("this workflow was uploaded as not trusted, so it is given no secrets")
        whole = secrets.PREFIX + name
        value = await secrets.find(whole)
        if value is None:
            raise NodeError(f"the server has no {whole}: {secrets.ways(whole)}")
        _given.get([]).append(value)
        return value


class IntegrationNode(NodeType):
    """``metadata: {"integration": "http_request", …}``."""

    name = "integration"
    retries = 2

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for an integration that is not there, and those that it finds itself."""
        del targets
        wanted = node.metadata.get("integration")
        found = integrations().get(str(wanted))
        if found is None:
            known = ", ".join(sorted(integrations()))
            yield "integration", f"there is no integration {wanted!r} on this server; there are: {known}"
            return
        try:
            yield from list(found.check(node))
        except _FAULTS as error:
            _log.warning("the integration %s cannot check a node: %r", wanted, error)
            yield "integration", f"the integration {wanted!r} cannot check this node: {type(error).__name__}: {error}"

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the parameters, references filled in."""
        given = {key: value for key, value in call.node.metadata.items() if key not in COMMON}
        filled: dict[str, Any] = references.fill(given, call.scope)
        return filled

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Ask the service, and put its answer into the same envelope as that of a code node."""
        wanted = call.node.metadata["integration"]
        found = integrations().get(wanted)
        if found is None:
            raise NodeError(f"the integration {wanted!r} is not installed any more")
        keys: list[str] = []
        token = _given.set(keys)
        try:
            answer = secrets.hidden(plain(await found.run(inputs, call)), keys)
        except NodeError as failure:
            said = str(secrets.hidden(str(failure), keys))
            raise NodeError(said, transient=failure.transient, after=failure.after) from None
        except _FAULTS as fault:
            _log.warning("the integration %s failed: %s", wanted, secrets.hidden(traceback.format_exc(), keys))
            said = str(secrets.hidden(f"{type(fault).__name__}: {fault}", keys))
            raise NodeError(f"the integration {wanted!r} failed: {said}") from None
        finally:
            _given.reset(token)
        if not isinstance(answer, dict):
            raise NodeError(f"the integration {wanted!r} gave no object with results")
        error = str(answer.get("error") or "")
        data = {"results": None, **answer, "error": error}
        good = not error
        output = {"data": data, "error": error or None, "successfull": good, "successful": good}
        return Outcome(output, error=error or None)


@lru_cache(maxsize=1)
def integrations() -> dict[str, Integration]:
    """Return every integration by its name. One that cannot be loaded is left out, and the log says why."""
    from .http_request import HttpRequest  # it is an Integration itself

    found: dict[str, Integration] = {"http_request": HttpRequest()}
    for entry in entry_points(group=GROUP):
        loaded = _load(entry)
        if loaded is not None:
            found.setdefault(entry.name, loaded)
    return found


def _load(entry: EntryPoint) -> Integration | None:
    try:
        made = entry.load()()
    except _FAULTS as error:
        _log.warning("the integration %s cannot be loaded: %r", entry.name, error)
        return None
    if not isinstance(made, Integration):
        _log.warning("the integration %s is left out: %s gives no Integration", entry.name, entry.value)
        return None
    return made
