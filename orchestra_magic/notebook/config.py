"""What ``%config OrchestraMagics`` shows and changes. No key is among it: ``%config`` prints values."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Dict, Enum, Float, Unicode, observe
from traitlets.config import Configurable

from ..client.settings import API_KEY_ENV, Chosen, chosen
from ..errors import OrchestraError


class OrchestraConfig(Configurable):
    """The traits of the magics; each change is pushed down into the client's settings."""

    base_url = Unicode(
        None,
        allow_none=True,
        help="Address of the server, or `local`; without it ORCHESTRA_BASE_URL decides.",
    ).tag(config=True)
    api_key_env = Unicode(API_KEY_ENV, help="Name of the environment variable that holds the API key.").tag(config=True)
    connect_timeout = Float(10.0, min=0.1, help="Seconds until a server must have been reached.").tag(config=True)
    read_timeout = Float(60.0, min=0.1, help="Seconds until a server must have answered.").tag(config=True)
    ca_bundle = Unicode(None, allow_none=True, help="File with the certificates to trust.").tag(config=True)
    proxies = Dict(value_trait=Unicode(), key_trait=Unicode(), help="Proxy by scheme: {'https': 'http://…'}.").tag(
        config=True
    )
    allow_insecure = Bool(False, help="Send the key over plain http to other computers too.").tag(config=True)
    verbose_errors = Bool(False, help="Show the whole stack of an error instead of one line.").tag(config=True)
    watch = Enum(
        ["auto", "live", "wait", "off"],
        default_value="auto",
        help="How a started run is followed: live card, waiting in the cell, or not at all.",
    ).tag(config=True)

    @observe("base_url", "api_key_env", "connect_timeout", "read_timeout", "ca_bundle", "proxies", "allow_insecure")
    def _push(self, change: Any) -> None:
        setattr(chosen, change["name"], change["new"])

    @observe("verbose_errors")
    def _push_verbose(self, change: Any) -> None:
        OrchestraError.verbose = change["new"]


def forget() -> None:
    """Put the client's settings back to what they are without a notebook."""
    for name, value in vars(Chosen()).items():
        setattr(chosen, name, value)
    OrchestraError.verbose = False
