"""Outputs that are tables: lists of objects, which turn into DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Records(list[dict[str, Any]]):
    """A list of objects, one per row. Equal to the plain list.

    Examples
    --------
    >>> Records([{"n": 1}]) == [{"n": 1}]
    True
    """

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with one row per object and one column per key."""
        import pandas as pd  # only for those who have it

        return pd.DataFrame(list(self))


def tabular(value: Any) -> Any:
    """Return a JSON value with every list of objects in it, down through objects, as :class:`Records`."""
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return Records(value)
    if isinstance(value, Mapping):
        return {name: tabular(member) for name, member in value.items()}
    return value
