"""Where this package keeps files: the journal of the client and the data of the embedded server."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path


def home() -> Path:
    """Return the folder for everything that is written to disk.

    ``ORCHESTRA_HOME`` where it is set, else the platform's folder for user data. The folder need not exist.
    A relative one is under the working folder of the moment when it was first asked for.
    """
    chosen = os.environ.get("ORCHESTRA_HOME")
    if chosen:
        return _absolute(Path(chosen).expanduser())
    import platformdirs  # start-up of the extension stays light

    return _absolute(Path(platformdirs.user_data_dir("orchestra_magic", appauthor=False)))


@lru_cache
def _absolute(path: Path) -> Path:
    # Once: a notebook that changes its working folder still finds its journal and its server.
    return path.absolute()


def private_folder(path: Path) -> Path:
    """Make ``path`` a folder that only its owner can enter, and return it."""
    if not path.is_dir():
        if path.parent != path:
            private_folder(path.parent)  # mkdir's own `parents` would leave those to the umask
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def server_file() -> Path:
    """Return the file in which a running embedded server says its address and token (mode 0600).

    A JSON object: ``base_url`` (with ``/api/v1/workflow``), ``token``, ``pid``, ``version``, ``data``.
    The client reads it and the server writes it: the two share this and the two files below, nothing else.
    """
    return home() / "local" / "server.json"


def server_lock_file() -> Path:
    """Return the file that an embedded server holds locked as long as it runs, however it ends."""
    return home() / "local" / "server.lock"


def stopped_file() -> Path:
    """Return the file that is there from when an embedded server is stopped on purpose until it is started again."""
    return home() / "local" / "stopped"
