"""The faults, and what becomes of each: for a GET, and for the POST that starts a run.

One list for the tests and for the page that is made from it (``README.md`` beside this file).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from scripted import Reply

from . import acts

RUN = "fda37c90-dd1c-4317-82d1-797b7f77fca5"
STARTED = {"message": "Workflow execution started", "run_id": RUN}
ELSEWHERE = "https://elsewhere.example/api"

Script = Callable[[str], Reply]
"""Gives the answer to a request with this method."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    kind, says : str
        Class and message of the error, empty where there is none. ``{host}``, ``{base}`` stand for the server,
        ``{path}`` for what was asked for.
    lost : bool
        Whether a start may have happened, so that the history is asked; ``says`` is then part of what is said.
    why : str
        What is said instead of ``says`` where a start is lost.
    posts : int
        How many POSTs arrive.
    server : str
        Which server, where it is another one than most: closed, unknown, untrusted, not tls, cut, secure.
    patience : float or None
        The read timeout that makes it a fault, in seconds.
    doors : bool
        Whether it stands for its class in the magic and the form.
    """

    name: str
    script: Script
    kind: str = ""
    says: str = ""
    lost: bool = False
    why: str = ""
    posts: int = 1
    server: str = ""
    patience: float | None = None
    doors: bool = False

    @property
    def get(self) -> str:
        """The whole error of a GET."""
        again = " Try again." if self.lost and self.kind == CONNECTION else ""
        return f"{self.kind}: {self.says}{again}" if self.kind else ""

    @property
    def post(self) -> str:
        """The whole error of a start that the history does not show."""
        if not self.lost:
            return self.get
        return (
            f"RunUnconfirmed: It is not known whether the run was started. {self.why or self.says} The history shows "
            "no new run with these inputs. `%orchestra_history {workflow}` shows it; `orchestra.reconcile(error)` "
            "looks once more. To run the cell again may start, and cost, a second run."
        )

    @property
    def journal(self) -> str:
        """What the journal says of such a start."""
        return "lost" if self.lost else "dropped" if self.kind else "started"


CONNECTION, AUTH, UNKNOWN, SERVER = "OrchestraConnectionError", "OrchestraAuthError", "NotFound", "ServerError"

CHECK = "Check the address (`%orchestra_connect` shows it)"
REFUSED = "{host} refused the connection. It seems not to run: `%orchestra_connect local` starts the embedded one."
BROKE = "The connection to {host} broke before the answer came."
SLOW, ENDLESS = "{host} did not answer within 0.5 s.", "The answer of {host} did not end within 0.5 s."
LARGE, PACKED = "The answer is larger than 20 MB.", "The answer of {host} cannot be unpacked."
ODDLY_PACKED = "The answer is packed in a way that was not asked for."
NO_TLS = "{host} does not speak TLS with us. Check whether its address begins with https."
NO_JSON = "{{host}} answered with something that is not JSON ({}). Is {{base}} the API's address?"
REDIRECT = (
    "{{host}} redirects to {}, where the key is not sent; nothing was started. If that is the API's address, "
    "choose it with `%orchestra_connect`."
)
UNTRUSTED = (
    "The certificate of {host} is not trusted: unable to get local issuer certificate. If it is your own, give its CA "
    "by `%config OrchestraMagics.ca_bundle = 'path'`."
)
BAD_KEY = (
    "{{host}} refused the API key ({}): {}. Check that the key is right and belongs to this server "
    "(`%orchestra_connect` says where we are connected)."
)
NO_WORKFLOW = (
    "{host} does not know {path} (404): Workflow not found. `%orchestra_workflows` lists the workflows "
    "(`%orchestra_connect` says where we are connected)."
)
JSON, PAGE = "application/json", "text/html"
HTML = b"<!doctype html><html><head><title>Bad Gateway</title></head><body>nginx</body></html>"


def good(method: str) -> Reply:
    return Reply(data=[] if method == "GET" else STARTED)


def long(method: str) -> Reply:
    pad = "x" * 10_000_000
    return Reply(data=[pad] if method == "GET" else STARTED | {"pad": pad})


def mislabelled(method: str) -> Reply:
    return Reply(data=good(method).data, headers={"Content-Type": PAGE})


def reply(status: int, data: Any = None, **headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(status, data, headers=named)


def body(data: bytes, status: int = 200, **headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(status, body=data, headers=named)


def act(done: acts.Act) -> Script:
    return lambda _: Reply(act=done)


@functools.cache
def _bomb(times: int) -> bytes:
    return acts.bomb(60, times=times)


def bomb(status: int = 200, times: int = 1) -> Script:
    headers = {"Content-Encoding": ", ".join(["gzip"] * times), "Location": ELSEWHERE}
    return lambda _: Reply(status, body=_bomb(times), headers=headers)


def at_a_time(_: str) -> Reply:
    date = format_datetime(datetime(2020, 1, 1, tzinfo=timezone.utc), usegmt=True)
    return Reply(429, {"detail": "slow down"}, headers={"Retry-After": date})


def lost(name: str, script: Script, says: str, *, kind: str = CONNECTION, **more: Any) -> Fault:
    """A fault after which a start may or may not have happened."""
    return Fault(name, script, kind, says, lost=True, **more)


def away(status: int, *, doors: bool = False) -> Fault:
    says = REDIRECT.format(ELSEWHERE)
    return Fault(f"{status} to another host", reply(status, Location=ELSEWHERE), CONNECTION, says, doors=doors)


def down(status: int, *, doors: bool = False) -> Fault:
    script, says = reply(status, Location="http://{host}/api"), REDIRECT.format("http://{host}/api")
    return Fault(f"{status} from https to http", script, CONNECTION, says, server="secure", doors=doors)


UNREACHED = [
    Fault("the connection is refused", good, CONNECTION, f"{REFUSED} {CHECK}.", posts=0, server="closed", doors=True),
    Fault(
        "no such host (DNS)",
        good,
        CONNECTION,
        f"There is no server named {{host}}. {CHECK} and the network.",
        posts=0,
        server="unknown",
        doors=True,
    ),
    Fault("the certificate is not trusted", good, CONNECTION, UNTRUSTED, posts=0, server="untrusted", doors=True),
    Fault("no TLS on an https port", good, CONNECTION, NO_TLS, posts=0, server="not tls"),
]
BROKEN = [
    lost("reset before the request is read", good, BROKE, posts=0, server="cut", doors=True),
    lost("reset after the request is read", act(acts.break_off), BROKE, doors=True),
    lost("closed without an answer", act(acts.raw(b"")), BROKE),
    lost("no HTTP at all", act(acts.raw(b"SSH-2.0-OpenSSH_9.6\r\n")), BROKE),
    lost("truncated body", act(acts.raw(acts.HEAD + b'Content-Length: 99\r\n\r\n{"run_id": "fd')), BROKE),
]
SLUGGISH = [
    lost("slow headers", act(acts.drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")), SLOW, patience=0.5),
    lost("slow body", act(acts.drip(acts.HEAD + b"Content-Length: 9999\r\n\r\n{", b" ")), ENDLESS, patience=0.5),
    lost("hang", act(acts.hang), SLOW, patience=0.5, doors=True),
    lost("endless 100 Continue", act(acts.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")), SLOW, patience=0.5),
]
UNREADABLE = [
    lost("truncated JSON", body(b'[{"run_id": "fd'), NO_JSON.format(JSON), kind=SERVER, doors=True),
    lost("empty body", body(b""), NO_JSON.format(JSON), kind=SERVER),
    lost("204 without a body", body(b"", 204), NO_JSON.format(JSON), kind=SERVER),
    lost(
        "JSON of another shape",
        reply(200, 7),
        "{base} answered the list of workflows with something that is no list.",
        kind=SERVER,
        why="The server answered without a run id.",
    ),
    lost("HTML page with status 200", body(HTML, Content_Type=PAGE), NO_JSON.format(PAGE), kind=SERVER, doors=True),
    lost("text that is said to be JSON", body(b"welcome"), NO_JSON.format(JSON), kind=SERVER),
    lost("gzip bomb (1 : 1,000)", bomb(), LARGE, doors=True),
    lost("gzip bomb in a gzip bomb", bomb(times=2), ODDLY_PACKED),
    lost("broken gzip", body(b"\x1f\x8b no", Content_Encoding="gzip"), PACKED),
    lost("packing that was not asked for", body(b"?", Content_Encoding="br"), ODDLY_PACKED),
    lost("larger body than is borne", body(b"[" + b" " * 25_000_000 + b"]"), LARGE),
]
READABLE = [
    Fault("JSON with a wrong content type", mislabelled),
    Fault("10 MB body", long, doors=True),
]
REDIRECTS = [
    *(away(301), away(302), away(307, doors=True)),
    *(down(301), down(302, doors=True), down(307)),
    lost("302 with a gzip bomb", bomb(302), LARGE),
    Fault("redirect in a circle", reply(302, Location="?again"), CONNECTION, REDIRECT.format("?again")),
    Fault("redirect to no address", reply(302, Location="http://["), CONNECTION, REDIRECT.format("http://[")),
]
REFUSALS = [
    Fault("400", reply(400, {"detail": "Bad"}), SERVER, "{host} did not accept the request (400): Bad."),
    Fault("401", reply(401, {"detail": "Invalid API key"}), AUTH, BAD_KEY.format(401, "Invalid API key"), doors=True),
    Fault("403", reply(403, {"detail": "Forbidden"}), AUTH, BAD_KEY.format(403, "Forbidden")),
    Fault("404", reply(404, {"detail": "Workflow not found"}), UNKNOWN, NO_WORKFLOW, doors=True),
    Fault("409", reply(409, {"detail": "Conflict"}), SERVER, "{host} did not accept the request (409): Conflict."),
    Fault("413", body(HTML, 413), SERVER, "{host} did not accept the request (413): Bad Gateway."),
    Fault(
        "422",
        reply(422, {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}),
        SERVER,
        "{host} did not accept the request (422): body.prompt: field required.",
        doors=True,
    ),
    Fault("429", reply(429), SERVER, "{host} has had too many requests (429). Wait a while."),
    Fault(
        "429 with Retry-After in seconds",
        reply(429, {"detail": "slow down"}, Retry_After="7"),
        SERVER,
        "{host} has had too many requests (429): slow down. Wait 7 s.",
        doors=True,
    ),
    Fault(
        "429 with Retry-After as a date that is over",
        at_a_time,
        SERVER,
        "{host} has had too many requests (429): slow down. Wait 0 s.",
    ),
]
FAILURES = [
    lost("408", reply(408, {"detail": "Too slow"}), "{host} did not accept the request (408): Too slow.", kind=SERVER),
    lost("500", reply(500, {"detail": "oops"}), "{host} failed (500): oops.", kind=SERVER),
    lost("502 with a page", body(HTML, 502), "{host} failed (502): Bad Gateway.", kind=SERVER, doors=True),
    lost("503", reply(503, {"detail": "busy"}, Retry_After="3"), "{host} failed (503): busy.", kind=SERVER),
    lost("504", reply(504), "{host} failed (504).", kind=SERVER),
    lost("a status that nobody knows", reply(799), "{host} failed (799).", kind=SERVER),
]
CLASSES = {
    "not reached": UNREACHED,
    "broken": BROKEN,
    "too slow": SLUGGISH,
    "unreadable": UNREADABLE,
    "odd but readable": READABLE,
    "redirected": REDIRECTS,
    "refused": REFUSALS,
    "failed": FAILURES,
}
FAULTS = [fault for faults in CLASSES.values() for fault in faults]
