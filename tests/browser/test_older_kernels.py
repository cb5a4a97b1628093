"""The form on older kernels, which run its handlers elsewhere: on the main thread after the cell, or on another.

ipykernel 6 handles a click when the running cell is over, 7.0 to 7.3 at once and in a thread of its own.
"""

from __future__ import annotations

import pytest
from local.embedded import LocalServer
from playwright.sync_api import expect

from .conftest import OpenCells
from .jupyter_driver import Jupyter
from .kernels import KERNELS, kernel_of

pytestmark = pytest.mark.slow  # each is downloaded first


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, jupyter_server: Jupyter) -> str:
    """Name of a kernel of this version, beside the newest one of the environment."""
    return kernel_of(request.param, jupyter_server)


def test_the_form_and_the_card_work(kernel: str, open_cells: OpenCells, orchestra_server: LocalServer) -> None:
    notebook = open_cells(
        "%load_ext orchestra_magic\nimport ipykernel, time\nprint(ipykernel.__version__)",
        "form = %orchestra_form countdown\nform.set(seconds=2)",
        "for _ in range(50):\n    time.sleep(0.1)",
        "print(run_id == form.run.id, form.run.wait().status)",
        "for _ in range(20):\n    time.sleep(0.1)",
        "print(run_id == form.run.id, form.run.wait().status)",
        "%%orchestra_execute countdown\nseconds: 1",
        kernel=kernel,
    )
    runs = f"/workflows/{orchestra_server.id_of('countdown')}/runs"
    before = len(orchestra_server.get(runs))
    notebook.run(0)
    assert kernel == f"ipykernel-{notebook.text(0).strip()}"
    notebook.run(1)
    form = notebook.page.locator(".orchestra-form")
    result = notebook.output(1)  # the form, and the card below it
    form.locator(".orchestra-run").click()
    notebook.run(2, wait=False)  # five seconds
    expect(result).to_contain_text("Lift-off")
    assert notebook.state(2) == "running"  # the form stays current while a cell runs
    notebook.run(3)
    assert notebook.text(3) == "True completed\n"
    first = result.inner_text()

    notebook.run(4, wait=False)
    form.locator(".orchestra-run").dblclick()  # while a cell runs: at once or after it, and once
    expect(result).not_to_contain_text("completed")
    expect(result).to_contain_text("Lift-off")
    assert result.inner_text() != first
    notebook.run(5)
    assert notebook.text(5) == "True completed\n"
    expect(form.get_by_role("alert")).to_have_count(0)
    assert len(orchestra_server.get(runs)) == before + 2

    notebook.run(6)
    expect(notebook.output(6)).to_contain_text("Lift-off")  # the card, redrawn when no cell runs
