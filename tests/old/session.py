"""What a person does in a session, run by the oldest supported IPython; says what came of it as JSON."""

from __future__ import annotations

import contextlib
import io
import json
import time
from typing import Any

import IPython
import ipywidgets
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("colors", "NoColor")
before = {kind: set(names) for kind, names in shell.magics_manager.magics.items()}
said: dict[str, Any] = {"versions": [IPython.__version__, ipywidgets.__version__]}


def cell(code: str) -> str:
    """Run a cell and return what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        shell.run_cell(code)
    return out.getvalue()


shell.run_cell("%load_ext orchestra_magic")
said["yaml"] = cell("%%orchestra_execute hello --wait -o run\nname: Ada")
said["bound"] = [shell.user_ns["run_id"] == shell.user_ns["run"].id, shell.user_ns["run"].outputs]
said["bodiless"] = cell("%%orchestra_execute hello --wait")
said["option"] = cell("%%orchestra_execute hello --wiat\nname: Ada")
said["body"] = cell("%%orchestra_execute hello\nname:Ada")
said["steps"] = cell("%orchestra_steps")
lines = [
    "%orchestra_execute hel",
    "run = %orchestra_execute hel",
    "%orchestra_execute hello --dr",
    "%orchestra_form hello --format js",
]
said["completed"] = [shell.complete(None, line)[1] for line in lines]

from orchestra_magic import Orchestra  # noqa: E402
from orchestra_magic.notebook.form import Form  # noqa: E402

orchestra = Orchestra()
form = Form(orchestra, orchestra.workflow("hello"), shell)
form.set(name="Eve").submit()
said["form"] = [form.run.wait().outputs, shell.user_ns["run_id"] == form.run.id, sorted(form._repr_mimebundle_())]

# A field of every kind, filled in as a program does it, a file as a browser does it, and the button pressed.
wishes: dict[str, Any] = {
    "text": "Eve", "long text": "a\nb", "integer": 3, "number": 2.5, "true or false": True, "choice": "y", "list": [1],
    "several choices": ["x", "y"], "JSON object": {"a": None}, "JSON": [0.5], "date": "2026-01-31", "time": "14:30",
    "date and time": "2026-01-31T14:30+01:00", "secret": "s3cr3t",
}  # fmt: skip
fields = {kind: {"kind": kind, "choices": ["x", "y"]} if "choice" in kind else kind for kind in [*wishes, "file"]}
every = Form(orchestra, orchestra.workflow("hello"), shell, fields=fields, out="mine").set(**wishes)
state = {"metadata": [{"name": "u.bin"}], "data": [memoryview(b"\xff\x00")], "_counter": 1}
every.fields["file"].control.upload.set_state(state)
as_cell = every.as_cell()
every.parts.run.click()
said["named"] = cell("print(mine.id == run_id)")
sent = every.run.wait().refresh().inputs
said["every"] = [sent == {**wishes, "name": "world", "file": "data:application/octet-stream;base64,/wA="}, len(fields)]
end = time.monotonic() + 20  # the form hears of it from the watcher
while "is over" not in every.parts.summary.value and time.monotonic() < end:
    time.sleep(0.02)
said["summary"] = every.parts.summary.value
shell.user_ns["secret"] = wishes["secret"]
cell(as_cell)
said["same"] = json.dumps(shell.user_ns["mine"].wait().refresh().inputs) == json.dumps(sent)
said["kept"] = [each for each in (as_cell, repr(every._repr_mimebundle_())) if "s3cr3t" in each]

shell.run_cell("%unload_ext orchestra_magic")
said["unloaded"] = shell.complete(None, "%orchestra_execute hel")[1]
said["left"] = sorted(name for kind, names in shell.magics_manager.magics.items() for name in set(names) - before[kind])
print(json.dumps(said))
