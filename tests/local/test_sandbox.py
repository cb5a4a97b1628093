import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from orchestra_magic.local.sandbox import landlock
from orchestra_magic.local.sandbox.runner import Sandbox

from .programs import run


@pytest.mark.parametrize(
    ("code", "results"),
    [
        ("1 + 1", 2),
        ("x = 1", None),
        ("", None),
        ("def f():\n    return {'a': [1, None, True]}\nf()", {"a": [1, None, True]}),
        ("{1, 1}", [1]),
        ("import datetime\ndatetime.date(2026, 1, 2)", "2026-01-02"),
        ("import numpy\n[numpy.arange(2), numpy.float64(1.5)]", [[0, 1], 1.5]),
        ("import pandas\npandas.DataFrame({'a': [1, 2]})", [{"a": 1}, {"a": 2}]),
        ("'\\ud800'", "?"),
        ("raise SystemExit", None),
        ("__name__", "__main__"),
        ("import pickle\nclass C:\n    x = 1\npickle.loads(pickle.dumps(C())).x", 1),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\ndataclasses.fields(A)[0].type is int",
            True,
        ),
    ],
)
def test_results_are_the_value_of_the_last_expression(code, results):
    done = run(code)
    assert (done.results, done.error, done.stopped) == (results, "", None)


def test_output_is_not_taken_for_the_result():
    done = run("import sys\nprint('out')\nprint('{\"results\": 9}')\nprint('err', file=sys.stderr)\n'r'")
    assert (done.results, done.stdout, done.stderr) == ("r", 'out\n{"results": 9}\n', "err\n")


@pytest.mark.parametrize(
    ("code", "results", "note"),
    [
        ("float('nan')", None, "NaN and infinite numbers stand as null"),
        ("{'a': [1, float('inf')], (1, 2): 'b'}", {"a": [1, None], "(1, 2)": "b"}, "NaN"),
        ("[1, b'x', {'k': range(2)}]", [1, "b'x'", {"k": "range(0, 2)"}], "a value of the type bytes is not JSON"),
        ("a = [1]\na.append(a)\na", [1, None], "what holds itself"),
        ("10**5000", "<int>", "type int is not JSON"),
        ("class C:\n    def __repr__(self): 1/0\nC()", "<C>", "a value of the type C"),
        ("import decimal\n[decimal.Decimal('0.5'), decimal.Decimal('0.10')]", [0.5, "0.10"], ""),
        ("import numpy\n{numpy.int64(1): numpy.array([1, numpy.nan])}", {"1": [1.0, None]}, "NaN"),
        ("{None: 1, True: 2, 1.5: 3}", {"null": 1, "true": 2, "1.5": 3}, ""),
        ("{None: 1, True: 2, 1.5: float('nan')}", {"null": 1, "true": 2, "1.5": None}, "NaN"),
    ],
)
def test_values_that_json_cannot_hold_are_changed_and_said(code, results, note):
    done = run(code)
    assert (done.results, done.error) == (results, "")
    assert (note in done.stderr) if note else not done.stderr


@pytest.mark.parametrize(
    ("code", "results"),
    [
        ("pd.DataFrame({'a': [1, None], 'b': ['x', None]})", [{"a": 1.0, "b": "x"}, {"a": None, "b": None}]),
        ("pd.DataFrame({'t': [pd.Timestamp('2026-01-02'), pd.NaT]})", [{"t": "2026-01-02T00:00:00"}, {"t": None}]),
        (
            "pd.DataFrame({'k': ['x', 'x', 'y'], 'v': [1, 2, 3]}).groupby('k').sum()",
            [{"k": "x", "v": 3}, {"k": "y", "v": 3}],
        ),
        ("pd.DataFrame({1: [1], ('a', 'b'): [2]})", [{"1": 1, "('a', 'b')": 2}]),
        ("pd.DataFrame([[1, 2]], columns=['a', 'b'], index=[7])", [{"a": 1, "b": 2}]),
        ("pd.Series([1, 2], index=['a', 'b'])", {"a": 1, "b": 2}),
        ("pd.Series([1, None])", [1.0, None]),
        ("pd.Series([1, None], dtype='Int64')", [1, None]),
        ("pd.DataFrame({'c': pd.Categorical(['u', 'v'])})", [{"c": "u"}, {"c": "v"}]),
        ("{'mean': pd.Series([1, 2]).mean(), 'na': [pd.NA, pd.NaT]}", {"mean": 1.5, "na": [None, None]}),
        ("[pd.Index(['a']), pd.Timestamp('2026-01-02')]", [["a"], "2026-01-02T00:00:00"]),
        ("pd.DataFrame()", []),
        ("pd.DataFrame([[1, 2, 3]], columns=['a', 'a', 'a.1'])", [{"a": 1, "a.1": 2, "a.1.1": 3}]),
        ("pd.Series([1, 2], index=['a', 'a'])", {"a": 1, "a.1": 2}),
    ],
)
def test_tables_are_rows(code, results):
    done = run(f"import pandas as pd\n{code}")
    assert (done.results, done.error, done.stderr) == (results, "", "")


@pytest.mark.parametrize(
    ("code", "results"),
    [
        ("np.array(['2026-01-02', 'NaT'], 'M8[ns]')", ["2026-01-02T00:00:00", None]),
        ("np.datetime64('2026-01-02T00:00:00.5', 'ns')", "2026-01-02T00:00:00.500000"),
        ("np.array(['2026-01-02T00:00:00.123456789', 'NaT'], 'M8[ns]')", ["2026-01-02T00:00:00.123456789", None]),
        ("[np.datetime64('2026-01-02'), np.datetime64('2026-01-02T03', 's')]", ["2026-01-02", "2026-01-02T03:00:00"]),
    ],
)
def test_times_of_numpy_are_text(code, results):
    done = run(f"import numpy as np\n{code}")
    assert (done.results, done.error, done.stderr) == (results, "", "")


def test_a_duration_of_numpy_is_no_number():
    done = run("import numpy as np\n[np.timedelta64(1, 'ns'), np.timedelta64(1000, 'ns')]")
    assert "1" in done.results[0]
    assert done.results[1] == "datetime.timedelta(microseconds=1)"
    assert "stands as text" in done.stderr


def test_the_lambda_stands_as_text():
    assert run("lambda: 1").results.startswith("<function")


def test_an_error_shows_the_program_alone():
    done = run("def f():\n    return 1 / 0\n\nf()")
    assert done.error.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert 'File "<code>", line 4' in done.error
    assert "return 1 / 0" in done.error
    assert "child.py" not in done.error
    assert done.results is None


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('z' * 50_000)",
        "def f(n):\n    if n: f(n - 1)\n    else: raise ValueError('z' * 50_000)\n" * 2 + "f(300)",
    ],
)
def test_a_long_error_keeps_its_type(code):
    error = run(code).error
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith("ValueError: zzz")
    assert "characters were left out" in error.splitlines()[-1]
    assert len(error) < 9000


@pytest.mark.parametrize(
    ("code", "limits", "reason"),
    [
        ("while True: pass", {"timeout": 0.3}, "the code ran longer than 0.3 s and was ended"),
        ("import os\nos._exit(3)", {}, "the code ended its process (exit status 3) before it had a result"),
        ("import os\nos.kill(os.getpid(), 9)", {}, "the process of the code was ended by SIGKILL"),
        ("'x' * 2000", {"result": 1000}, "the result is larger than 1000 bytes"),
    ],
)
def test_what_runs_away_is_ended_and_said(code, limits, reason):
    began = time.monotonic()
    assert reason in (run(code, **limits).stopped or "")
    assert time.monotonic() - began < 5


def test_memory_is_limited():
    assert run("bytearray(1 << 30)", memory=1 << 29).error.endswith("MemoryError")


def test_a_flood_of_output_is_cut_and_blocks_nobody():
    done = run("print('x' * 3_000_000)\n'end'", output=1000)
    assert done.results == "end"
    assert len(done.stdout) < 1100
    assert "bytes more were left out" in done.stdout


def test_files_are_limited():
    assert "File too large" in run("open('f', 'wb').write(b'x' * 20000)", file_size=10000).error


def test_secrets_of_the_server_are_not_in_the_environment(monkeypatch):
    monkeypatch.setenv("ORCHESTRA_MODEL_API_KEY", "s3cret")
    environment = run("import os\ndict(os.environ)").results
    assert set(environment) <= {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "LC_CTYPE"}


def test_the_folder_is_its_own_and_gone_afterwards():
    done = run("import os\nopen('f', 'w').close()\nos.getcwd()")
    assert "orchestra-code-" in done.results
    assert not Path(done.results).exists()


linux = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are of Linux")
landlocked = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@landlocked
def test_files_of_the_user_are_out_of_reach(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    read = f"open({str(secret)!r}).read()"
    assert "PermissionError" in run(read).error
    assert "PermissionError" in run(f"open({str(tmp_path / 'new')!r}, 'w')").error
    assert "PermissionError" in run(f"import os\nos.listdir({str(Path.home())!r})").error
    other = run(
        f"import subprocess\nsubprocess.run(['/bin/cat', {str(secret)!r}], capture_output=True).stderr.decode()"
    )
    assert "Permission denied" in other.results


@landlocked
def test_folders_that_are_allowed_are_in_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRA_CODE_FILES", str(tmp_path))
    assert run(f"open({str(tmp_path / 'f')!r}, 'w').write('abc')").results == 3
    assert (tmp_path / "f").read_text() == "abc"


@landlocked
def test_the_environment_of_the_server_is_out_of_reach():
    for pid in ("os.getppid()", str(os.getpid())):
        assert "PermissionError" in run(f"import os\nopen(f'/proc/{{{pid}}}/environ').read()").error


@landlocked
def test_other_processes_cannot_be_signalled():
    if landlock.version() < 6:
        pytest.skip("signals are held from the sixth version on")
    assert "PermissionError" in run(f"import os\nos.kill({os.getpid()}, 0)").error


@landlocked
def test_the_network_can_be_forbidden(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = f"import socket\nsocket.create_connection(('127.0.0.1', {listener.getsockname()[1]})).close()\n1"
        assert run(program).results == 1
        monkeypatch.setenv("ORCHESTRA_CODE_NETWORK", "0")
        assert "PermissionError" in run(program).error


@landlocked
@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is for these two")
def test_services_of_this_computer_are_out_of_reach(tmp_path, monkeypatch):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        program = f"import socket\nsocket.socket(socket.AF_UNIX).connect({path!r})\n'reached'"
        assert "PermissionError" in run(program).error
        inner = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}]).returncode"
        assert run(inner).results == 1
        monkeypatch.setenv("ORCHESTRA_CODE_SOCKETS", "1")
        assert run(program).results == "reached"


@pytest.mark.parametrize("network", ["0", "1"])
def test_what_programs_use_among_themselves_works(monkeypatch, network):
    monkeypatch.setenv("ORCHESTRA_CODE_NETWORK", network)
    program = """
import asyncio, socket, concurrent.futures as futures
left, right = socket.socketpair()
left.send(b"x")
async def main():
    await asyncio.sleep(0)
    process = await asyncio.create_subprocess_exec("/bin/echo", "said", stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
with futures.ThreadPoolExecutor(2) as pool:
    found = list(pool.map(abs, [-1, -2]))
[right.recv(1).decode(), asyncio.run(main()), found]
"""
    done = run(program)
    assert (done.error, done.results) == ("", ["x", "said\n", [1, 2]])


@landlocked
def test_a_pool_of_processes_works_and_shared_memory_has_no_list():
    program = """
import multiprocessing, os
from multiprocessing import shared_memory
def square(n):
    return n * n
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(square, range(4))
memory = shared_memory.SharedMemory(create=True, size=8)
memory.buf[0] = 7
other = shared_memory.SharedMemory(memory.name)
found.append(other.buf[0])
memory.unlink()
try:
    os.listdir("/dev/shm")
except PermissionError:
    found.append("no list")
found
"""
    done = run(program)
    assert (done.error, done.results) == ("", [0, 1, 4, 9, 7, "no list"])


_DAEMON = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        time.sleep(60)
    os._exit(0)
pid = int(os.read(read, 20))
{}
pid
"""


def gone(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return " Z " in stat.read_text()
    except OSError:
        return True


@linux
def test_a_daemon_that_hid_is_found():
    assert gone(run(_DAEMON.format("")).results)


@linux
def test_a_daemon_is_found_after_a_timeout(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRA_CODE_FILES", str(tmp_path))
    done = run(_DAEMON.format(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(pid))\ntime.sleep(60)"), timeout=2)
    assert "longer than 2 s" in done.stopped
    assert gone(int((tmp_path / "pid").read_text()))


def test_our_own_modules_are_not_in_the_way():
    for name in ("results", "landlock", "child"):
        assert "ModuleNotFoundError" in run(f"import {name}").error


@linux
def test_nothing_survives_a_server_that_is_killed(restarted):
    server = restarted
    server.execute("countdown", {"seconds": 20})

    def family(pid):
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return children + [one for child in children for one in family(child)]

    pids = family(server.pid)
    assert len(pids) >= 2
    folders = {Path(f"/proc/{pid}/cwd").readlink() for pid in pids}
    assert any("orchestra-code-" in str(one) for one in folders)
    server.kill()
    deadline = time.monotonic() + 30
    while not all(gone(pid) for pid in pids) or any(one.exists() for one in folders):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_children_die_with_it():
    program = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid"
    pid = run(program).results
    assert gone(pid)


def test_a_descendant_that_holds_the_pipes_is_not_waited_for():
    began = time.monotonic()
    done = run("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3)\n    os._exit(0)\n5")
    assert done.results == 5
    assert time.monotonic() - began < 2


def test_a_forged_result_is_only_data():
    forged = "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'[1]')\n    except OSError: pass\nos._exit(0)"
    assert "before it had a result" in (run(forged).stopped or "")


def test_cancelling_ends_the_process(monkeypatch):
    async def cancelled():
        sandbox = Sandbox()
        pid = Path(os.environ["HOME"]) / "pid"
        monkeypatch.setenv("ORCHESTRA_CODE_FILES", os.environ["HOME"])
        program = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
        task = asyncio.create_task(sandbox.run(program, {}))
        while not pid.exists() or not pid.read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        await sandbox.close()
        return int(pid.read_text())

    pid = asyncio.run(cancelled())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_programs_share_nothing():
    async def several():
        sandbox = Sandbox()
        first = await sandbox.run("import sys\nsys.modules['shared'] = 1\nx = 1", {})
        second = await sandbox.run("import sys\n('shared' in sys.modules, 'x' in globals())", {})
        await sandbox.close()
        return first, second

    assert asyncio.run(several())[1].results == [False, False]
