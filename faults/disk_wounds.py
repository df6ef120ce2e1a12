"""What is done to the disk under the product; the numbers are those of the fault table, too."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from faults.disk import can_throttle
from faults.machine import Machine
from faults.processes import children_of
from faults.wounds import Wound
from tests.acceptance.running import connect

HELD_SECONDS = 3.0
SLOW_SECONDS = 15
SLOW_WRITES = 20
FULL_SECONDS = 6.0
PANIC_SECONDS_MAX = 30.0
LOG_FILLER = "select pg_logical_emit_message(true, '', repeat('x', 1000000))"


async def writes_held(machine: Machine) -> None:
    """Longer than the lease lasts, twice with hardly a pause: an alert, and no entries."""
    await machine.order_under_way()
    since = await machine.moment()
    for _ in range(2):
        await machine.disk.held(HELD_SECONDS)
    await machine.stall_told(since)


async def disk_slowed(machine: Machine) -> None:
    """Commits take their time: an alert, and what cannot be done in time is not done later."""
    since = await machine.moment()
    await machine.disk.slowed(SLOW_WRITES, SLOW_SECONDS)
    await machine.stall_told(since)


async def flush_fails(machine: Machine) -> None:
    """The next flush of each session fails, whichever is first: Postgres must not go on from it."""
    await machine.order_under_way()
    postmaster = machine.up.pid_of("postgres")
    assert postmaster is not None, "Postgres runs between two faults"
    sessions = children_of(postmaster)
    debugger = _debugger(sessions)
    try:
        deadline = time.monotonic() + PANIC_SECONDS_MAX
        while not set(sessions).isdisjoint(children_of(postmaster)):
            assert time.monotonic() < deadline, "no flush has failed"
            await asyncio.sleep(0.01)
    finally:
        debugger.terminate()
        debugger.wait()


async def disk_filled(machine: Machine) -> None:
    """First what is reserved for the log is left, then not even that: nothing is sent."""
    machine.disk.fill()
    try:
        await asyncio.sleep(FULL_SECONDS)
        await _log_filled(machine)
        sent = machine.orders_at_the_venue()
        await asyncio.sleep(FULL_SECONDS)
        assert machine.orders_at_the_venue() == sent, "sent without a commit"
    finally:
        machine.disk.empty()


async def _log_filled(machine: Machine) -> None:
    """Returns when Postgres has died of it."""
    postmaster = machine.up.pid_of("postgres")
    deadline = time.monotonic() + PANIC_SECONDS_MAX
    while postmaster is not None and machine.up.pid_of("postgres") == postmaster:
        assert time.monotonic() < deadline, "Postgres finds room for its log"
        with suppress(OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await connect(machine.up.state_dir)
            try:
                while True:
                    await connection.execute(LOG_FILLER)
            finally:
                connection.terminate()
        await asyncio.sleep(0.05)


async def power_cut(machine: Machine) -> None:
    """What was not flushed is gone, everything dies at that moment, and is started again."""
    await machine.order_under_way()
    machine.disk.cut()
    await machine.dies()
    await machine.disk.unmount()
    machine.disk.mount()
    machine.starts()


def _debugger(pids: Sequence[int]) -> subprocess.Popen[bytes]:
    """Fails the first flush of each of them."""
    flushes = "fdatasync,fsync"
    return subprocess.Popen(
        [
            *(_strace(), "-qq", "-o", os.devnull, "-e", f"trace={flushes}"),
            *("-e", f"inject={flushes}:error=EIO:when=1"),
            *(word for pid in pids for word in ("-p", str(pid))),
        ]
    )


def _strace() -> str:
    return shutil.which("strace") or ""


def _lacks_strace() -> str:
    return "" if _strace() else "strace"


SLOW = f"a disk of {SLOW_WRITES} writes a second" if can_throttle() else "a disk that stutters"
DISK_WOUNDS = (
    Wound(number=22, what="writes take 3 s", inflict=writes_held),
    Wound(number=23, what=SLOW, inflict=disk_slowed),
    Wound(number=24, what="a flush fails", inflict=flush_fails, lacks=_lacks_strace),
    Wound(number=25, what="the disk is full, its log too", inflict=disk_filled),
    Wound(number=27, what="the machine loses power", inflict=power_cut),
)
