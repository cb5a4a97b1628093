"""Tab in the front ends: workflows and options on the line, inputs and variables in the body."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import OpenCells


def test_tab_completes_the_line_and_the_body(open_cells: OpenCells) -> None:
    notebook = open_cells("%load_ext orchestra_magic\npassenger = 'Ada'\n%orchestra_workflows", "")
    notebook.run(0)  # and the list of workflows is at hand
    keys = notebook.page.keyboard
    editor = notebook.editor(1)
    items = notebook.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item")
    editor.click()
    keys.type("%%orchestra_execute ")
    keys.press("Tab")
    for name in ("countdown", "group-summary", "hello", "say-hi"):
        expect(items.get_by_text(name, exact=True)).to_be_visible()
    keys.type("hel")
    expect(items).to_have_count(1)
    keys.press("Enter")
    typed = "%%orchestra_execute hello"
    expect(editor).to_have_text(typed)
    for part, whole in ((" --dry", " --dry-run"), ("\nna", "name: "), ("$passe", "$passenger")):
        keys.type(part)
        keys.press("Tab")
        expect(items).to_have_count(1)
        keys.press("Enter")
        typed += whole
        expect(editor).to_have_text(typed)  # which leaves out the end of the line
    notebook.run(1)
    expect(notebook.output(1)).to_contain_text('{"name":"Ada"}')
