"""``orchestra-local knowledge``: how knowledge bases are filled without a line of HTTP."""

from .graphs import graph

SEARCH = graph(
    {"find": {"type": "knowledge_retrieval", "metadata": {"knowledge_base": "by_command", "query": "{{question}}"}}},
    *("START find", "find END"),
    input_data={"question": "string"},
)


def test_documents_from_files(local_server, tmp_path):
    storks, herons = tmp_path / "storks.md", tmp_path / "herons.txt"
    storks.write_text("Storks breed on roofs.")
    herons.write_text("Herons stand in water.")
    done = local_server.command("knowledge", "add", "by_command", str(storks), str(herons))
    assert (done.returncode, done.stdout) == (0, "added storks.md: 1 chunk\nadded herons.txt: 1 chunk\n")
    assert local_server.command("knowledge", "add", "by_command", str(storks)).stdout == "replaced storks.md: 1 chunk\n"
    assert "by_command: herons.txt, storks.md" in local_server.command("knowledge", "list").stdout.splitlines()
    run = local_server.finish(local_server.upload(SEARCH, name="by command"), {"question": "Where do herons stand?"})
    assert run["outputs"]["find"]["data"]["results"][0]["source"] == "herons.txt"
    assert local_server.command("knowledge", "remove", "by_command").stdout == "deleted by_command\n"
    refused = local_server.command("knowledge", "remove", "by_command")
    assert refused.returncode == 1
    assert refused.stderr.startswith("orchestra-local: there is no knowledge base 'by_command'")


def test_what_cannot_be_added(local_server, make_server, tmp_path):
    binary = tmp_path / "data.bin"
    binary.write_bytes(b"\0\1")
    refused = local_server.command("knowledge", "add", "notes", str(binary), str(tmp_path / "nowhere.md"))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"orchestra-local: there is no file {tmp_path / 'nowhere.md'}; nothing was added\n",
    )
    refused = local_server.command("knowledge", "add", "notes", str(binary))
    assert refused.returncode == 1
    assert refused.stderr.startswith("orchestra-local: data.bin")
    refused = make_server().command("knowledge", "list")
    assert refused.stderr == "orchestra-local: no server runs; start one with: orchestra-local start\n"
