"""Where to send and with which key: the ladder, and a key that goes to its own host alone."""

from __future__ import annotations

import fcntl
import sys
import types
from collections.abc import Callable

import pytest
from scripted import Scripted

from orchestra_magic import Orchestra, OrchestraConfigError, paths
from orchestra_magic.client import embedded, settings
from orchestra_magic.client.keys import Key

OTHER = "https://orchestra.example/api/v1/workflow"


def test_the_address_by_the_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.address() == settings.HOSTED
    monkeypatch.setenv("ORCHESTRA_BASE_URL", "https://env.example/api/")
    assert settings.address() == "https://env.example/api"
    settings.chosen.base_url = "local"
    assert settings.address() == "local"
    assert settings.address(OTHER) == OTHER


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("orchestra.example", "no address"),
        ("ftp://orchestra.example", "no address"),
        ("https://", "no address"),
        ("https://a:99999/", "no address"),
        ("https://me:secret@orchestra.example/api", "without, and the key apart"),
        ("https://orchestra.example/api?x=1", "query"),
        ("http://orchestra.example/api", "plain http"),
        ("http://127.0.0.1.evil.example/api", "plain http"),
        ("http://2130706433.example/", "plain http"),
    ],
)
def test_addresses_that_no_key_goes_to(url: str, words: str) -> None:
    with pytest.raises(OrchestraConfigError, match=words) as caught:
        settings.checked_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:8000/api", "http://127.0.0.9/api", "http://[::1]:8000/api", OTHER])
def test_addresses_that_are_safe(url: str) -> None:
    assert settings.checked_url(url + "/") == url


def test_plain_http_elsewhere_when_it_is_allowed() -> None:
    settings.chosen.allow_insecure = True
    assert settings.checked_url("http://orchestra.example/api") == "http://orchestra.example/api"


def test_without_a_key_the_ways_are_named() -> None:
    with pytest.raises(OrchestraConfigError) as caught:
        Orchestra().workflows()
    for word in ("no API key for orchestra.arcee.ai", "ORCHESTRA_API_KEY", "keyring set", "%orchestra_connect local"):
        assert word in str(caught.value)


def test_the_key_of_the_environment_belongs_to_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_API_KEY", "sk-hosted")
    assert settings.resolve().key == Key("sk-hosted")
    with pytest.raises(
        OrchestraConfigError, match=r"in ORCHESTRA_API_KEY is for orchestra.arcee.ai and goes nowhere else"
    ) as caught:
        settings.resolve(OTHER)
    assert "sk-hosted" not in str(caught.value)
    monkeypatch.setenv("ORCHESTRA_BASE_URL", OTHER)
    assert settings.resolve().key == Key("sk-hosted")
    with pytest.raises(OrchestraConfigError):
        settings.resolve(settings.HOSTED)


def test_the_environment_is_read_at_each_use(monkeypatch: pytest.MonkeyPatch, server: Scripted) -> None:
    server.on("GET", "/workflows", [])
    monkeypatch.setenv("ORCHESTRA_BASE_URL", server.base_url)
    orchestra = Orchestra()
    for key in ("sk-one", "sk-two"):
        monkeypatch.setenv("ORCHESTRA_API_KEY", key)
        orchestra.workflows()
    assert [said.headers["Authorization"] for said in server.said] == ["Bearer sk-one", "Bearer sk-two"]


def test_another_name_for_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    settings.chosen.api_key_env = "MY_KEY"
    assert settings.resolve().key == Key("sk-mine")


def test_a_key_that_is_given_follows_no_later_choice(server: Scripted) -> None:
    server.on("GET", "/workflows", [])
    settings.chosen.base_url = server.base_url
    orchestra = Orchestra(api_key="sk-given")
    settings.chosen.base_url = OTHER
    assert orchestra.base_url == server.base_url
    orchestra.workflows()
    assert len(server.said) == 1


def test_the_keyring_by_host(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = types.ModuleType("keyring")
    ring.get_password = lambda service, host: {("orchestra_magic", "orchestra.example"): "sk-ring"}.get((service, host))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert settings.resolve(OTHER).key == Key("sk-ring")
    with pytest.raises(OrchestraConfigError):
        settings.resolve()


def test_colabs_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    colab, userdata = types.ModuleType("google.colab"), types.ModuleType("google.colab.userdata")
    userdata.get = {"ORCHESTRA_API_KEY": "sk-colab"}.get  # type: ignore[attr-defined]
    colab.userdata = userdata  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setitem(sys.modules, "google.colab.userdata", userdata)
    assert settings.resolve().key == Key("sk-colab")


@pytest.mark.parametrize("value", ["", "  ", "sk\nnew-header: x", "sk with blank", "schlüssel"])
def test_keys_that_cannot_stand_in_a_header(value: str) -> None:
    with pytest.raises(OrchestraConfigError) as caught:
        Key(value)
    assert "header: x" not in str(caught.value)


def test_the_embedded_server_is_found_by_its_file(embedded_at: Callable[[str, str], None]) -> None:
    embedded_at("http://127.0.0.1:5/api/v1/workflow", "sk-token")
    endpoint = settings.resolve("local")
    assert (endpoint.base_url, endpoint.key, endpoint.embedded) == (
        "http://127.0.0.1:5/api/v1/workflow",
        Key("sk-token"),
        True,
    )
    assert "sk-token" not in repr(endpoint)


def test_the_file_of_a_killed_server_sends_no_token_to_who_has_its_port(
    embedded_at: Callable[[str, str], None],
) -> None:
    embedded_at("http://127.0.0.1:5/api/v1/workflow", "sk-token")
    paths.server_lock_file().unlink()
    assert embedded.find() is None
    with paths.server_lock_file().open("wb") as lock:
        assert embedded.find() is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert embedded.find() is not None
    assert embedded.find() is None
