"""Who holds a lease, as text, and whether that process is provably dead.

`host:boot:pid namespace:pid:start time`. A process is dead for certain only when it ran under the
same host name, boot and pid namespace as ours and /proc shows that it is gone, a zombie without
threads, or another one under its number. Everything else is no proof.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_ZOMBIE_OR_DEAD = frozenset("ZXx")


def this_process() -> str:
    """The holder that this process is."""
    stat = _stat(os.getpid())
    started = stat[1] if stat is not None else "?"
    return f"{_machine()}:{os.getpid()}:{started}"


def is_provably_dead(holder: str) -> bool:
    """Whether the process can never act again."""
    machine, _, rest = holder.rpartition(":")[0].rpartition(":")
    pid_text, started = rest, holder.rpartition(":")[2]
    if machine != _machine() or not pid_text.isdecimal() or not started.isdecimal():
        return False
    stat = _stat(int(pid_text))
    if stat is None or stat[1] != started:
        return True
    return stat[0] in _ZOMBIE_OR_DEAD and _threads(int(pid_text)) <= 1


@cache
def _machine() -> str:
    """The same for as long as this process lives."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:  # no Linux: nobody is provably dead then
        boot, namespace = "?", "?"
    return f"{os.uname().nodename}:{boot}:{namespace.removeprefix('pid:')}"


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time of a process; None when there is none (or no /proc)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[0], fields[19]


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(_PROC / str(pid) / "task"))
    except OSError:
        return 0
