"""Inputs held against what a workflow is known to take."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from .records import Input


def faults(known: Iterable[Input], given: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each required input that is missing and each name that is not known.

    Examples
    --------
    >>> faults([Input("prompt", required=True)], {"promt": "hello"})
    ["There is no input 'promt'. Did you mean 'prompt'?", "The required input 'prompt' is missing."]
    """
    inputs = {each.name: each for each in known}
    if not inputs:
        return []  # nothing is known, so nothing is wrong
    said = []
    for name in given:
        if name not in inputs:
            near = difflib.get_close_matches(name, inputs, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(inputs)}."
            said.append(f"There is no input {name!r}. {hint}")
    missing = [
        each.name for each in inputs.values() if each.required and not each.has_default and each.name not in given
    ]
    said += [f"The required input {name!r} is missing." for name in missing]
    return said
