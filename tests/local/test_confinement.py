"""What a program cannot do to other processes, to the system, and to what comes after it."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from orchestra_magic.local.sandbox import landlock, process, removal
from orchestra_magic.local.sandbox.process import Process

from .programs import WITHOUT_LANDLOCK, inhabitants, run

filtered = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is for these two"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are of Linux")
landlocked = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")

_CALLS = """
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
def io_priority(which, who):
    number = {"x86_64": 251, "aarch64": 30}[os.uname().machine]
    if libc.syscall(number, which, who, 2 << 13 | 7):
        raise OSError(ctypes.get_errno(), "")
"""
_REACHING = """
def refused(call):
    try:
        call()
    except PermissionError:
        return True
    return False
found = []
for pid in ({pid}, os.getppid()):
    found += [
        refused(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))),
        refused(lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))),
        refused(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19)),
        refused(lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))),
        refused(lambda: os.sched_setparam(pid, os.sched_param(0))),
        refused(lambda: io_priority(1, pid)),
    ]
    # Of this a program is told nothing: threads of numeric libraries do it to themselves by their numbers.
    os.sched_setaffinity(pid, [min(os.sched_getaffinity(0))])
for group in ({pid}, 0):
    found += [refused(lambda: os.setpriority(os.PRIO_PGRP, group, 19)), refused(lambda: io_priority(2, group))]
found
"""


def state(pid):
    import resource

    limits = [resource.prlimit(pid, one) for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)]
    return limits, os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid), os.sched_getaffinity(pid)


@filtered
def test_other_processes_keep_their_limits_and_priorities():
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as victim:
        before = state(victim.pid)
        done = run(_CALLS + _REACHING.format(pid=victim.pid))
        after = state(victim.pid)
        victim.kill()
    assert after == before
    assert (done.error, done.results) == ("", [True] * 16)


@filtered
def test_its_own_limits_and_priorities_are_its_own():
    program = """
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (90, 200))
os.nice(1)
os.setpriority(os.PRIO_PROCESS, os.getpid(), 3)
one = [min(os.sched_getaffinity(0))]
os.sched_setaffinity(os.getpid(), one)
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
io_priority(1, 0)
import subprocess
inner = "import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)); print(os.nice(2))"
said = subprocess.run([os.sys.executable, "-c", inner], capture_output=True, text=True)
[resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0),
 os.sched_getaffinity(0) == set(one), said.stdout.strip(), said.stderr]
"""
    done = run(_CALLS + program)
    assert (done.error, done.results) == ("", [[90, 200], 3, os.SCHED_BATCH, True, "5", ""])


@filtered
@pytest.mark.parametrize("sockets", ["0", "1"])
def test_without_a_network_there_are_no_sockets_for_one(monkeypatch, sockets):
    monkeypatch.setenv("ORCHESTRA_CODE_NETWORK", "0")
    monkeypatch.setenv("ORCHESTRA_CODE_SOCKETS", sockets)
    program = """
import socket
found = []
multipath = 262
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_VSOCK, 43):
    for kind, protocol in ((socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, multipath), (socket.SOCK_DGRAM, 0)):
        try:
            socket.socket(family, kind, protocol)
        except PermissionError:
            continue
        found.append((family, kind, protocol))
found
"""
    done = run(program)
    assert (done.error, done.results) == ("", [])
    assert bool(run("import socket\nsocket.socket(socket.AF_UNIX).close()").error) is (sockets == "0")


@filtered
def test_datagrams_reach_no_service_of_this_computer(tmp_path, monkeypatch):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.setblocking(False)
        for kind in ("SOCK_DGRAM", "SOCK_RAW", "SOCK_DGRAM | socket.SOCK_NONBLOCK"):
            program = f"import socket\nsocket.socketpair(type=socket.{kind})[0].sendto(b'x', {path!r})"
            assert "PermissionError" in run(program).error
        packets = "import socket\na, b = socket.socketpair(type=socket.SOCK_SEQPACKET)\na.send(b'x')"
        assert run(packets).results == 1
        with pytest.raises(BlockingIOError):
            listener.recv(1)
        monkeypatch.setenv("ORCHESTRA_CODE_SOCKETS", "1")
        assert run(program).results == 1


@linux
def test_a_program_has_no_powers_of_root():
    program = (
        """
import ctypes, subprocess, sys
source = """
        + repr("""
import ctypes, struct
held = ctypes.create_string_buffer(24)
assert ctypes.CDLL(None).capget(struct.pack("<Ii", 0x20080522, 0), held) == 0
print(any(held.raw))
""")
        + """
exec(source)
subprocess.run([sys.executable, "-c", source], check=True)
"""
    )
    done = run(program)
    assert (done.error, done.stdout) == ("", "False\nFalse\n")


@landlocked
@pytest.mark.parametrize("device", [0, os.makedev(1, 3)])
def test_a_program_makes_no_devices(device):
    # The first is of no use, and the only one that Linux lets anybody make.
    assert "PermissionError" in run(f"import os\nos.mknod('device', {stat.S_IFCHR | 0o600}, {device})").error
    assert run("import os\nos.mkfifo('pipe')\nos.mkdir('folder')\nos.symlink('a', 'b')\n1").results == 1


_BOMB = """
import fcntl, os, time
print(os.getcwd(), flush=True)
until = time.monotonic() + 60
def is_room():
    # Of 40 places, each is free again when the process that has it ends.
    for number in range(40):
        file = os.open(f"place{(number + os.getpid()) % 40}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            os.close(file)
    return False
while time.monotonic() < until:
    if os.fork() == 0:
        os.setsid()
        if not is_room():
            os._exit(0)
"""
_CHAINS = """
import os, time
print(os.getcwd(), flush=True)
until = time.monotonic() + 60
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while time.monotonic() < until:
            if os.fork():
                os._exit(0)
        os._exit(0)
1
"""


def assert_gone(folder):
    deadline = time.monotonic() + 30
    while inhabitants(folder) or Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@linux
@pytest.mark.parametrize("program", [_BOMB, _CHAINS])
def test_nothing_is_left_of_what_forks_and_hides(program):
    assert_gone(run(program, timeout=1).stdout.strip())


@filtered
@pytest.mark.parametrize("program", [_BOMB, _CHAINS])
def test_nothing_is_left_of_what_forks_where_signals_are_not_held(program):
    asked = WITHOUT_LANDLOCK + f"from tests.local.programs import run\nprint(run({program!r}, timeout=1).stdout)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert_gone(done.stdout.strip())


@linux
def test_a_supervisor_that_is_slow_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRA_CODE_FILES", str(tmp_path))
    said = tmp_path / "said"
    program = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    open({str(said)!r}, "w").write(f"{{os.getpid()}} {{os.getpgid(os.getppid())}} ")
    time.sleep(60)
time.sleep(60)
"""

    def slow():
        while not said.exists() or not said.read_text().endswith(" "):
            time.sleep(0.01)
        supervisor = int(said.read_text().split()[1])
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            os.kill(supervisor, SIGSTOP)
            time.sleep(0.001)
        os.kill(supervisor, SIGCONT)

    slowing = threading.Thread(target=slow)
    slowing.start()
    assert "longer than 1 s" in run(program, timeout=1).stopped
    slowing.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text().split()[0]), 0)


@pytest.mark.parametrize(
    "program",
    [
        "os.mkdir('a')\nopen('a/b', 'w').close()\nos.chmod('a', 0)\nos.chmod('.', 0o500)",
        "for _ in range(1500):\n    os.mkdir('0')\n    os.chdir('0')",
        "for one in '012': os.makedirs(f'{one}/{one}/0/{one}')\nos.rmdir('0/0/0/0')\nopen('0/0/0/0', 'w').close()",
    ],
)
def test_the_folder_goes_whatever_is_in_it(program):
    done = run(f"import os\nfolder = os.getcwd()\n{program}\nfolder")
    assert not Path(done.results).exists()


def test_removal_follows_no_links(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(kept)
    removal.remove(str(tmp_path / "gone"))
    assert list(tmp_path.iterdir()) == [kept]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o500


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_a_process_that_cannot_start_leaves_nothing(tmp_path, monkeypatch, failing):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(process.sys, "executable", "/nowhere/python")
    make, made = os.pipe, []

    def pipe():
        if len(made) == failing:
            raise OSError(24, "Too many open files")
        made.append(make())
        return made[-1]

    monkeypatch.setattr(os, "pipe", pipe)
    with pytest.raises(OSError, match="Too many|No such file"):
        asyncio.run(Process.start())
    assert not list(tmp_path.iterdir())
    for one in [end for both in made[:3] for end in both]:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(one)
