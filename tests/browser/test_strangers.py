"""Pages of strangers in the person's own browser, against the embedded server: nothing is started, nothing read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from local.embedded import LocalServer
from playwright.sync_api import Browser, Page, sync_playwright
from scripted import Reply, Scripted

from .jupyter_driver import CHROMIUM, launch

EVIL = "evil.example"

# Every way in which a page asks another server; what it learns, by the way's name.
ATTACK = """async ([root, workflow, token]) => {
    const api = root + '/api/v1/workflow', execute = `${api}/workflows/${workflow}/execute`, learnt = {};
    const soon = (made, set) => new Promise(done => {
        const thing = made();
        set(thing, done);
        setTimeout(() => done('silence'), 5000);
    });
    const ways = {};
    for (const [name, url] of Object.entries({status: root + '/status', list: api + '/workflows', root: root + '/'})) {
        ways['fetch ' + name] = async () => (await fetch(url)).text();
        ways['fetch with a key ' + name] = async () =>
            (await fetch(url, {headers: {Authorization: 'Bearer guessed'}})).text();
        ways['fetch with cookies ' + name] = async () => (await fetch(url, {credentials: 'include'})).text();
        ways['opaque ' + name] = async () => (await fetch(url, {mode: 'no-cors'})).text();
        ways['frame ' + name] = () => soon(() => document.createElement('iframe'), (frame, done) => {
            frame.onload = () => { try { done(frame.contentDocument?.body.innerText ?? ''); } catch { done(''); } };
            frame.src = url;
            document.body.append(frame);
        });
        for (const [tag, place] of [['img', 'src'], ['script', 'src'], ['link', 'href']])
            ways[`${tag} ${name}`] = () => soon(() => document.createElement(tag), (element, done) => {
                element.onload = () => done('loaded');
                element.onerror = () => done('');
                element.rel = 'stylesheet';
                element[place] = url;
                document.body.append(element);
            });
    }
    for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded'])
        for (const mode of ['cors', 'no-cors'])
            ways[`post ${type} ${mode}`] = async () =>
                (await fetch(execute, {method: 'POST', mode, body: '{}', headers: {'Content-Type': type}})).text();
    ways['token in the address'] = async () =>
        (await fetch(`${execute}?token=${token}`, {method: 'POST', mode: 'no-cors', body: '{}'})).text();
    ways['beacon'] = async () => (navigator.sendBeacon(execute, '{}'), '');
    for (const enctype of ['text/plain', 'multipart/form-data', 'application/x-www-form-urlencoded'])
        ways['form ' + enctype] = () => soon(() => document.createElement('iframe'), (frame, done) => {
            frame.name = 'to' + enctype;
            document.body.append(frame);
            const form = document.createElement('form');
            Object.assign(form, {method: 'POST', action: execute, enctype, target: frame.name});
            form.innerHTML = `<input name='{"a":"' value='"}'>`;
            document.body.append(form);
            frame.onload = () => { try { done(frame.contentDocument?.body.innerText ?? ''); } catch { done(''); } };
            form.submit();
        });
    ways['socket'] = () => soon(() => new WebSocket(root.replace('http', 'ws') + '/status'), (socket, done) => {
        socket.onmessage = event => done(String(event.data));
        socket.onopen = () => done('opened');
        socket.onerror = () => done('');
    });
    ways['events'] = () => soon(() => new EventSource(root + '/status'), (events, done) => {
        events.onmessage = event => done(event.data);
        events.onerror = () => (events.close(), done(''));
    });
    await Promise.all(Object.entries(ways).map(async ([name, way]) => {
        try { learnt[name] = await way(); } catch { learnt[name] = ''; }
    }));
    return learnt;
}"""


@pytest.fixture(scope="module")
def evil_browser() -> Iterator[Browser]:
    """A browser for which the stranger's name leads to this computer, as after a rebinding."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        rules = f"MAP {EVIL} 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
        browser = launch(playwright, f"--host-resolver-rules={rules}")
        yield browser
        browser.close()


@pytest.fixture
def page(evil_browser: Browser, server: Scripted) -> Iterator[Page]:
    """A page of the stranger, from its own server."""
    made = evil_browser.new_context().new_page()
    server.on("GET", "/page", Reply(body=b"<!doctype html><body>", headers={"Content-Type": "text/html"}))
    made.goto(f"http://{EVIL}:{urlsplit(server.base_url).port}/api/v1/workflow/page")
    yield made
    made.context.close()


def root(base_url: str) -> str:
    return base_url.removesuffix("/api/v1/workflow")


def attacked(page: Page, at: str, server: LocalServer) -> dict[str, str]:
    """Let the page do all it can, and hold that nothing came of it."""
    before = {one["name"]: len(server.get(f"/workflows/{one['workflow_id']}/runs")) for one in server.get("/workflows")}
    learnt: dict[str, str] = page.evaluate(ATTACK, [at, server.id_of("hello"), server.token])
    assert len(learnt) > 25
    after = {one["name"]: len(server.get(f"/workflows/{one['workflow_id']}/runs")) for one in server.get("/workflows")}
    assert after == before
    for name, text in learnt.items():
        for secret in (server.token, "run_id", "workflow_id", '"pid"', "hello"):
            assert secret not in text, name
    assert learnt["socket"] == learnt["events"] == ""
    return learnt


def test_a_page_from_elsewhere_learns_nothing(page: Page, orchestra_server: LocalServer) -> None:
    learnt = attacked(page, root(orchestra_server.base_url), orchestra_server)
    assert {text for name, text in learnt.items() if not name.startswith("link")} <= {"", "silence"}


def test_a_name_that_is_bound_anew_learns_nothing(page: Page, orchestra_server: LocalServer) -> None:
    """For the browser the server is then the page's own: it reads all answers, which must say nothing."""
    here = f"http://{EVIL}:{urlsplit(orchestra_server.base_url).port}"
    # Whatever document stands at this origin may ask it; one that were made up here, Chromium would not let near.
    answer: Any = page.goto(here)
    assert answer.status == 421
    learnt = attacked(page, here, orchestra_server)
    assert "this server answers on loopback only" in learnt["fetch status"]
    assert "this server answers on loopback only" in learnt["post application/json cors"]


def test_who_follows_a_link_to_it_sees_no_more_than_that_a_token_is_missing(
    page: Page, orchestra_server: LocalServer
) -> None:
    for path in ("/", "/status", "/openapi.json", "/api/v1/workflow/workflows"):
        answer: Any = page.goto(root(orchestra_server.base_url) + path)
        assert answer.status == 401
        assert "hello" not in page.content()


def test_the_same_page_does_reach_a_server_that_lets_it(page: Page, orchestra_server: LocalServer) -> None:
    """What would be learnt and started if the embedded server were as careless."""
    careless = Scripted()
    workflow = orchestra_server.id_of("hello")
    everybody = {"Access-Control-Allow-Origin": "*"}
    careless.on("GET", "/workflows", Reply(data=[{"workflow_id": workflow}], headers=everybody))
    careless.on("POST", f"/workflows/{workflow}/execute", {"run_id": "r"})
    learnt = page.evaluate(ATTACK, [root(careless.base_url), workflow, "token"])
    careless.close()
    assert workflow in learnt["fetch list"]
    assert len(careless.posts) >= 8
