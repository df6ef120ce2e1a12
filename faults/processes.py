"""Processes and what they have forked: a loss of power ends all of them, whatever they wait for."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

GONE_SECONDS_MAX = 15.0


def children_of(pid: int) -> list[int]:
    """Pids of the processes that it has forked and that live."""
    return _families()[pid]


def kill_with_all_below(pid: int) -> list[int]:
    """SIGKILL to it and then to all that it and they have forked; their pids."""
    families = _families()
    found = [pid]
    for one in found:  # grows as it goes
        found += families[one]
    for one in found:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return found


async def ended(pids: Sequence[int]) -> None:
    """Wait until none of them lives."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "something does not die"
        await asyncio.sleep(0.005)


def _families() -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = re.findall(r"PPid:\s+(\d+)", (entry / "status").read_text())[0]
                found[int(parent)].append(int(entry.name))
    return found


def _lives(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return re.findall(r"State:\s+(\w)", Path(f"/proc/{pid}/status").read_text())[0] not in "ZX"
    return False
