"""Knowledge bases as files: used by many at once, deleted meanwhile, and damaged."""

import asyncio
import contextlib
import os
import sqlite3
import time

import pytest

from orchestra_magic.local.knowledge import bases as bases_module
from orchestra_magic.local.knowledge.bases import Bases, UnknownBaseError

from .embedded import LocalServer

OWLS = "Owls hunt at night.\n\nTheir feathers make no sound.\n"


def test_a_base_is_deleted_and_made_again_beside_other_use(tmp_path):
    async def main():
        bases = Bases(tmp_path)
        ends = []

        async def search():
            while not ends:
                with contextlib.suppress(UnknownBaseError):
                    await bases.search("loop", "owls", 5)

        async def rebuild():
            for _ in range(40):
                with contextlib.suppress(UnknownBaseError):
                    await bases.delete("loop")
                assert (await bases.create("loop", None)).name == "loop"
                for number in range(4):
                    with contextlib.suppress(UnknownBaseError):
                        added = await bases.add("loop", f"{number}", "txt", 1, ["owls hunt"] * 3)
                        assert added["chunks"] == 3
                await bases.every()

        searches = [asyncio.create_task(search()) for _ in range(3)]
        await asyncio.gather(rebuild(), rebuild())
        ends.append(True)
        await asyncio.gather(*searches)
        await bases.close()

    asyncio.run(main())


def test_who_stops_waiting_does_not_give_a_base_to_others(tmp_path):
    order = []

    async def main():
        bases = Bases(tmp_path)
        await bases.create("house", None)

        def slow(db):
            time.sleep(0.2)
            order.append("used")

        using = asyncio.create_task(bases._do("house", slow))
        await asyncio.sleep(0.05)
        using.cancel()
        await bases.delete("house")
        order.append("deleted")

    asyncio.run(main())
    assert order == ["used", "deleted"]


def _overwritten(first):
    def spoil(path):
        with path.open("r+b") as file:
            file.seek(first)
            file.write(b"\x07" * (path.stat().st_size - first))

    return spoil


def _newer(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")


def _linked(path):
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


SPOILT = [
    (_overwritten(4096), "is damaged, or no database (database disk image is malformed); put back a copy"),
    (_overwritten(0), "is damaged, or no database (file is not a database); put back a copy"),
    (_newer, "was written by a newer version of orchestra_magic: upgrade this one"),
    (_linked, "is a symbolic link, which is not followed; move it away"),
]


def test_a_base_that_cannot_be_read_is_listed_and_can_be_deleted(tmp_path):
    server = LocalServer(tmp_path / "home").start()  # its own: these errors are to be in its log
    ask, folder = server.request, server.home / "local" / "data" / "knowledge"
    for spoil, error in SPOILT:
        for name in ("sound", "spoilt"):
            ask("POST", "/knowledge_bases", json={"name": name})
            ask("POST", f"/knowledge_bases/{name}/documents", json={"name": "a", "text": OWLS * 200})
        path = folder / "spoilt.sqlite"
        spoil(path)
        (folder / "has space.sqlite").touch()
        found = {one["name"]: one for one in server.get("/knowledge_bases")}
        assert set(found) == {"sound", "spoilt"}
        assert "error" not in found["sound"]
        assert f"{path} {error}" in found["spoilt"]["error"]
        refused = ask("GET", "/knowledge_bases/spoilt")
        assert (refused.status_code, refused.json()["detail"]) == (500, found["spoilt"]["error"])
        assert ask("DELETE", "/knowledge_bases/spoilt").json() == {**found["spoilt"], "documents": []}
        assert not os.path.lexists(path)
        assert ask("DELETE", "/knowledge_bases/spoilt").status_code == 404
    server.stop()


def test_a_base_that_cannot_be_made_leaves_no_file(tmp_path, monkeypatch):
    def full(db):
        raise sqlite3.OperationalError("database or disk is full")

    async def main():
        bases = Bases(tmp_path)
        await bases.create("there", None)
        monkeypatch.setattr(bases_module, "_prepare", full)
        for name in ("new", "there"):
            with pytest.raises(sqlite3.OperationalError):
                await bases.create(name, None)
        assert bases.names() == ["there"]
        assert [base.error for base in await bases.every()] == ["database or disk is full"]
        await bases.delete("there")
        assert bases.names() == []

    asyncio.run(main())
