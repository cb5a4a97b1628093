"""System calls that reach beyond a program, which Landlock does not hold: a filter refuses them.

Whoever reaches the socket of a keyring, of an SSH agent or of Docker needs no file to read, and whoever sets the
limits of the server's process can end it. The filter is one of seccomp, a few instructions that the kernel runs
at each system call.
This module is also loaded inside the sandbox, by itself: it needs the standard library alone.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# By machine: its number in the kernel, and those of the system calls.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        {"io_uring_setup": 425, "socket": 41, "socketpair": 53}
        | {"prlimit64": 302, "setpriority": 141, "ioprio_set": 251}
        | {"sched_setaffinity": 203, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setattr": 314},
    ),
    "aarch64": (
        0xC00000B7,
        {"io_uring_setup": 425, "socket": 198, "socketpair": 199}
        | {"prlimit64": 261, "setpriority": 140, "ioprio_set": 30}
        | {"sched_setaffinity": 122, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setattr": 274},
    ),
}
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_ALLOWED, _REFUSED, _IGNORED = ((_RETURN, 0, 0, answer) for answer in (0x7FFF0000, 0x00050000 | 1, 0x00050000))
_OTHER_NUMBERS = 0x40000000
_UNIX, _STREAM, _PACKETS, _KIND = 1, 1, 5, 0xF
_PRIORITY_OF_ONE, _IO_PRIORITY_OF_ONE = 0, 1

_Instruction = tuple[int, int, int, int]


def restrict(*, network: bool, sockets: bool) -> bool:
    """Give up, for good, what reaches other processes and services by system calls alone.

    Parameters
    ----------
    network : bool
        Whether sockets other than Unix ones can be made.
    sockets : bool
        Whether Unix sockets can be made. Pairs of connected ones always can.

    Returns
    -------
    bool
        Whether it is done: there is a filter for Linux on two kinds of machines.
    """
    known = _MACHINES.get(os.uname().machine) if sys.platform == "linux" and sys.byteorder == "little" else None
    if known is None:
        return False
    machine, numbers = known
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine),
        _REFUSED,
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _OTHER_NUMBERS),
        _REFUSED,
    ]
    for name, rule in _rules(network=network, sockets=sockets).items():
        program += [(_EQUAL, 0, len(rule) + 1, numbers[name]), *rule, _ALLOWED]
    program.append(_ALLOWED)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in program))
    filled = struct.pack("<H6xQ", len(program), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(filled), 0, 0) == 0)


def _rules(*, network: bool, sockets: bool) -> dict[str, list[_Instruction]]:
    """Return by system call what ends it. What a rule does not end is allowed, and so is every other call."""
    own = (0, os.getpid())
    rules = {
        # It does what other calls do, past every filter.
        "io_uring_setup": [_REFUSED],
        "prlimit64": _unless(0, own),
        "setpriority": [*_unless(0, (_PRIORITY_OF_ONE,)), *_unless(1, own)],
        "ioprio_set": [*_unless(0, (_IO_PRIORITY_OF_ONE,)), *_unless(1, own)],
        # Numeric libraries name each of their threads here, and print an error where that is refused.
        "sched_setaffinity": _unless(0, own, answer=_IGNORED),
        "sched_setparam": _unless(0, own),
        "sched_setscheduler": _unless(0, own),
        "sched_setattr": _unless(0, own),
    }
    if not network:
        rules["socket"] = _unless(0, (_UNIX,)) if sockets else [_REFUSED]
    elif not sockets:
        rules["socket"] = [_argument(0), (_EQUAL, 0, 1, _UNIX), _REFUSED]
    if not sockets:
        # One of a pair for datagrams can send them to any path.
        rules["socketpair"] = _unless(1, (_STREAM, _PACKETS), of=_KIND)
    return rules


def _unless(
    number: int, values: tuple[int, ...], *, of: int = 0xFFFFFFFF, answer: _Instruction = _REFUSED
) -> list[_Instruction]:
    """Return what ends a call unless an argument is one of ``values``."""
    equal = [(_EQUAL, len(values) - before, 0, value) for before, value in enumerate(values)]
    return [_argument(number), (_AND, 0, 0, of), *equal, answer]


def _argument(number: int) -> _Instruction:
    return _LOAD, 0, 0, _ARGUMENTS + 8 * number
