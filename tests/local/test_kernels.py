"""Real kernels that all want the embedded server at the same moment: one is started, and serves them all."""

import sys

import pytest
from jupyter_client.manager import KernelManager

KERNELS = 10
CONNECT = """
%orchestra_connect local
run = get_ipython().run_cell_magic("orchestra_execute", "hello --wait --quiet", "name: Ada")
assert run.outputs == "Hello, Ada!"
"""


@pytest.fixture
def kernels(make_server):
    """Kernels that have loaded the extension, with one home for all of them."""
    server = make_server()
    managers, clients = [], []
    for _ in range(KERNELS):
        manager = KernelManager()
        manager.kernel_spec.argv[0] = sys.executable
        manager.start_kernel(env=server.environment)
        managers.append(manager)
        client = manager.client()
        client.start_channels()
        clients.append(client)
    for client in clients:
        client.wait_for_ready(timeout=120)
    together(clients, "%load_ext orchestra_magic")
    yield server, clients
    for client, manager in zip(clients, managers, strict=True):
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def together(clients, cell):
    """Send a cell to all kernels before any has answered; see that each did it."""
    asked = [client.execute(cell) for client in clients]
    for client, message in zip(clients, asked, strict=True):
        # A kernel may have been asked more than once whether it is ready.
        while (reply := client.get_shell_msg(timeout=120))["parent_header"]["msg_id"] != message:
            pass
        assert reply["content"]["status"] == "ok", reply["content"]


def test_ten_kernels_start_one_server(kernels):
    server, clients = kernels
    together(clients, CONNECT)
    server.read()
    assert (server.home / "local" / "server.log").read_text().count("answers at") == 1
    history = server.get(f"/workflows/{server.id_of('hello')}/runs")
    assert [run["status"] for run in history] == ["completed"] * KERNELS
