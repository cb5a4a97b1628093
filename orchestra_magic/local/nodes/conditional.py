"""The conditional node: the first condition that is true says where the run goes on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .. import references
from ..values import equal
from .base import Call, Node, NodeError, NodeType, Outcome

_ORDERING: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
OPERATORS = ("==", "!=", *_ORDERING, "in", "not in")


class ConditionalNode(NodeType):
    """``metadata: {"conditions": [{"name", "match", "criteria": […], "then"}], "else"}``."""

    name = "conditional"

    def check(self, node: Node, targets: list[str]) -> Iterator[tuple[str, str]]:
        """Yield a fault for each condition that cannot be asked, and each way that leads nowhere."""
        conditions = node.metadata.get("conditions")
        if not isinstance(conditions, list) or not conditions:
            yield "conditions", "a conditional node needs a list of conditions"
            return
        for number, condition in enumerate(conditions):
            where = f"conditions[{number}]"
            if not isinstance(condition, Mapping):
                yield where, "a condition is an object with name, match, criteria and then"
                continue
            yield from _check_condition(where, condition)
            if condition.get("then") not in targets:
                yield f"{where}.then", _nowhere(condition.get("then"), targets)
        otherwise = node.metadata.get("else")
        if otherwise is not None and otherwise not in targets:
            yield "else", _nowhere(otherwise, targets)
        ways = self.ways(node)
        for target in targets:
            if target not in ways:
                yield "conditions", f"an edge leads to {target!r}, but no condition and no else does"

    def ways(self, node: Node) -> list[Any]:
        """Return where the conditions lead, and where the way goes on if none is true."""
        conditions = node.metadata.get("conditions")
        found = (
            [one.get("then") for one in conditions if isinstance(one, Mapping)] if isinstance(conditions, list) else []
        )
        return [*found, node.metadata.get("else")]

    def templates(self, node: Node) -> Iterator[tuple[str, Any]]:
        """Yield the variables, with or without their braces, and the values."""
        conditions = node.metadata.get("conditions")
        for number, condition in enumerate(conditions if isinstance(conditions, list) else ()):
            criteria = condition.get("criteria") if isinstance(condition, Mapping) else None
            for place, criterion in enumerate(criteria if isinstance(criteria, list) else ()):
                if isinstance(criterion, Mapping):
                    where = f"conditions[{number}].criteria[{place}]"
                    variable = _variable(criterion.get("variable"))
                    if references.is_path(variable):
                        yield f"{where}.variable", f"{{{{{variable}}}}}"
                    yield f"{where}.value", criterion.get("value")

    def inputs(self, call: Call) -> dict[str, Any]:
        """Return the conditions with their variables' values beside them, as far as they are asked.

        What decides nothing is not looked up: a variable of a later condition may well be missing.
        """
        asked: list[dict[str, Any]] = []
        for condition in call.node.metadata["conditions"]:
            match, criteria = condition.get("match") or "and", condition["criteria"]
            resolved: list[dict[str, Any]] = []
            asked.append(
                {
                    "name": condition.get("name") or condition["then"],
                    "match": match,
                    "criteria": resolved,
                    "then": condition["then"],
                }
            )
            try:
                if _wins(match, _resolving(criteria, call, resolved)):
                    break
            except NodeError:  # raised again by run, when the step has its inputs
                break
        return {"conditions": asked, "else": call.node.metadata.get("else")}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        """Ask the conditions in their order."""
        del call
        for condition in inputs["conditions"]:
            if _wins(condition["match"], condition["criteria"]):
                then = condition["then"]
                return Outcome({"condition": condition["name"], "then": then}, targets=[then])
        otherwise = inputs["else"]
        targets = [] if otherwise is None else [otherwise]
        return Outcome({"condition": "else", "then": otherwise}, targets=targets)


def _check_condition(where: str, condition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if condition.get("match", "and") not in ("and", "or"):
        yield f"{where}.match", "match is 'and' or 'or'"
    criteria = condition.get("criteria")
    if not isinstance(criteria, list) or not criteria:
        yield f"{where}.criteria", "a condition needs a list of criteria: variable, operator, value"
        return
    for place, criterion in enumerate(criteria):
        spot = f"{where}.criteria[{place}]"
        if not isinstance(criterion, Mapping):
            yield spot, "a criterion is an object with variable, operator and value"
            continue
        if not references.is_path(_variable(criterion.get("variable"))):
            yield f"{spot}.variable", "a variable is a reference, such as {{count.data.results}}"
        if criterion.get("operator") not in OPERATORS:
            yield (
                f"{spot}.operator",
                f"there is no operator {criterion.get('operator')!r}; there are: " + (" ".join(OPERATORS)),
            )
        if "value" not in criterion:
            yield f"{spot}.value", "a criterion needs a value to compare with"


def _nowhere(target: Any, targets: list[str]) -> str:
    return f"{target!r} is no node that an edge leads to from here; there are: {', '.join(targets) or 'none'}"


def _variable(variable: Any) -> str:
    return str(variable or "").strip().removeprefix("{{").removesuffix("}}").strip()


def _wins(match: str, criteria: Iterable[Mapping[str, Any]]) -> bool:
    asked = map(_holds, criteria)
    return any(asked) if match == "or" else all(asked)


def _resolving(criteria: Iterable[Mapping[str, Any]], call: Call, resolved: list[dict[str, Any]]) -> Iterator[Any]:
    """Resolve one criterion after another, as they are asked for; each is kept in ``resolved``."""
    for criterion in criteria:
        resolved.append(_resolve(criterion, call))
        yield resolved[-1]


def _resolve(criterion: Mapping[str, Any], call: Call) -> dict[str, Any]:
    path = _variable(criterion["variable"])
    return {
        "variable": path,
        "is": references.look_up(path, call.scope),
        "operator": criterion["operator"],
        "value": references.fill(criterion["value"], call.scope),
    }


def _holds(criterion: Mapping[str, Any]) -> bool:
    name, asked = criterion["variable"], criterion["operator"]
    left, right = criterion["is"], criterion["value"]
    if asked in ("in", "not in"):
        return _contains(name, left, right) is (asked == "in")
    kinds = _kind(left), _kind(right)
    if asked in ("==", "!="):
        if kinds[0] != kinds[1] and "null" not in kinds:
            raise _incomparable(name, asked, *kinds)
        return equal(left, right) is (asked == "==")
    if kinds[0] != kinds[1] or kinds[0] not in ("number", "text"):
        raise _incomparable(name, asked, *kinds)
    return _ORDERING[asked](left, right)


def _contains(name: str, holder: Any, item: Any) -> bool:
    kind = _kind(holder)
    if kind == "list":
        return any(equal(one, item) for one in holder)
    if kind in ("text", "object") and isinstance(item, str):
        return item in holder
    if kind == "text":
        raise NodeError(f"{name} is text, and {_kind(item)} cannot be in it; write the value as text")
    raise NodeError(f"{name} is {kind}, and only text, a list or an object contains a value")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def _incomparable(name: str, asked: str, left: str, right: str) -> NodeError:
    hint = "; make both the same type" if left != right else ""
    return NodeError(f"{name} is {left} and the value is {right}: {asked} does not compare them{hint}")
