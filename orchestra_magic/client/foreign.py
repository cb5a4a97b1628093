"""Values of numpy, pandas and pydantic become plain Python values, without an import of these.

A value of theirs exists only where they are loaded already, so that it is enough to look there.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from ..errors import OrchestraInputError
from .refusals import kind_of, named, refusal, text_key

__all__ = ["is_foreign", "to_plain"]


def is_foreign(value: Any) -> bool:
    """Whether :func:`to_plain` knows a value."""
    return _is_pandas(value) or _is_numpy(value) or _is_pydantic(value)


def to_plain(value: Any, path: str) -> Any:
    """Turn a foreign value into lists, dicts and other values of Python, which may hold foreign ones in turn."""
    if _is_pandas(value):
        return _from_pandas(value, path)
    if _is_numpy(value):
        return _from_numpy(value, path)
    return _from_pydantic(value, path)


def _is_pandas(value: Any) -> bool:
    pandas: Any = sys.modules.get("pandas")
    # a pandas that another thread is importing has nothing in it yet
    return hasattr(pandas, "NaT") and (
        value is pandas.NaT or value is pandas.NA or isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index))
    )


def _from_pandas(value: Any, path: str) -> Any:
    pandas = sys.modules["pandas"]
    if value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, pandas.DataFrame):
        return _records(value, path)
    items = [None if _missing(item, pandas) else item for item in value.tolist()]
    labels = value.index.tolist() if isinstance(value, pandas.Series) else []
    if labels and all(isinstance(label, str) for label in labels):
        return _unique(labels, items, path)
    return items


def _records(frame: Any, path: str) -> Any:
    pandas = sys.modules["pandas"]
    labels = [name for name in frame.index.names if name is not None]
    table = frame
    if labels:
        if set(labels) & set(frame.columns):
            raise OrchestraInputError(
                f"{named(path)} has {labels[0]!r} as a column and as the name of its index: rename one of them."
            )
        table = frame.reset_index()
    elif len(frame) and not pandas.api.types.is_integer_dtype(frame.index):
        raise OrchestraInputError(
            f"{named(path)} is a table whose index has labels but no name, and records have no index: send "
            'df.rename_axis("label") to keep the labels as a column, or df.reset_index(drop=True) to drop them.'
        )
    names = [text_key(column, path) for column in table.columns]
    _unique(names, names, path)
    cells = [
        [None if _missing(item, pandas) else item for item in table.iloc[:, n].tolist()] for n in range(len(names))
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _unique(labels: list[str], items: list[Any], path: str) -> dict[str, Any]:
    found = dict(zip(labels, items, strict=True))
    if len(found) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise OrchestraInputError(f"{named(path)} has the label {twice!r} twice: rename one of them.")
    return found


def _missing(item: Any, pandas: Any) -> bool:
    return item is pandas.NaT or item is pandas.NA or (isinstance(item, float) and math.isnan(item))


def _is_numpy(value: Any) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return hasattr(numpy, "ndarray") and isinstance(value, (numpy.generic, numpy.ndarray))


def _from_numpy(value: Any, path: str) -> Any:
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _from_array(value, path)
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.bool_):
        return bool(value)
    if isinstance(value, numpy.floating):
        plain = float(value)
        if math.isfinite(plain) and plain != value:
            raise OrchestraInputError(
                f"{named(path)} is a {type(value).__name__} that no JSON number holds exactly: send float(x) to "
                "round it, or str(x) to keep every digit."
            )
        return plain
    if isinstance(value, numpy.integer) and not isinstance(value, numpy.timedelta64):
        return int(value)
    raise refusal(value, path)


def _from_array(value: Any, path: str) -> Any:
    numpy: Any = sys.modules["numpy"]
    masked = hasattr(value, "mask")
    if masked and value.ndim == 0:
        return None if value.mask else value.data[()]
    # of other kinds (times, long doubles, objects) tolist() makes something else than their values
    if value.dtype.kind in "biuU" or (value.dtype.kind == "f" and value.dtype.itemsize <= 8):  # a double
        return value.tolist()
    if masked:
        raise refusal(value, path)
    if value.ndim:
        return list(numpy.asarray(value))
    inner = numpy.asarray(value)[()]
    if isinstance(inner, numpy.ndarray):
        raise refusal(value, path)
    return inner


def _is_pydantic(value: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "pydantic" for base in type(value).__mro__) and (
        hasattr(type(value), "model_dump") or hasattr(type(value), "__fields__")
    )


def _from_pydantic(value: Any, path: str) -> Any:
    try:
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        return json.loads(value.json())
    except Exception as error:
        detail = str(error).partition("\n")[0]
        raise OrchestraInputError(
            f"{named(path)} is {kind_of(value)}, which pydantic could not write as JSON ({detail})."
        ) from error
