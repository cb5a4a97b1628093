"""Where the notebook is connected, and as what: the answer of ``%orchestra_connect``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from getpass import GetPassWarning, getpass
from typing import Any

from ..client import settings
from ..client.keys import Key
from ..client.orchestra import Orchestra
from ..errors import OrchestraConfigError
from ..views.words import clean, escape


@dataclass(frozen=True)
class Connection:
    """One server, with its number of workflows, or with what is ``missing``. The key is never shown."""

    base_url: str
    embedded: bool
    workflows: int
    missing: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"Not connected; Orchestra at {clean(self.base_url)} would be asked. {self.missing}"
        which = "the embedded Orchestra" if self.embedded else "Orchestra"
        count = "1 workflow" if self.workflows == 1 else f"{self.workflows} workflows"
        return f"Connected to {which} at {clean(self.base_url)} (key ********): {count}."

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": f"<p>{escape(str(self))}</p>"}


def connect(orchestra: Orchestra, where: str | None) -> Connection:
    """Choose the server for this session (``local``, or a URL), or say which one it is.

    A server that no key is known for asks for one at a prompt: it stays in this process.

    Raises
    ------
    OrchestraConfigError, OrchestraConnectionError, OrchestraAuthError
        If it cannot be used. The choice before it is kept then.
    """
    before = settings.chosen.base_url
    if where is not None:
        settings.chosen.base_url = where if where == settings.LOCAL else settings.checked_url(where)
    try:
        return _look(orchestra, ask=where is not None)
    except BaseException:
        settings.chosen.base_url = before
        raise


def _look(orchestra: Orchestra, *, ask: bool) -> Connection:
    where = settings.address()
    try:
        endpoint = settings.resolve()
    except OrchestraConfigError as error:
        if where == settings.LOCAL:
            raise
        if not ask:
            return Connection(where, embedded=False, workflows=0, missing=str(error))
        host = settings.host_of(where)
        settings.chosen.keys[host] = _prompted(host, error)
        endpoint = settings.resolve()
    count = len(orchestra.workflows())
    return Connection(endpoint.base_url, endpoint.embedded, count)


def _prompted(host: str, otherwise: OrchestraConfigError) -> Key:
    """Ask for a key without echo; where nobody can be asked, raise what was wrong before."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # a terminal that would echo the key is not asked
            typed = getpass(f"API key for {host}: ")
    except (EOFError, OSError, NotImplementedError, GetPassWarning):  # papermill and CI have no one to ask
        raise otherwise from None
    if not typed.strip():
        raise otherwise
    return Key(typed)
