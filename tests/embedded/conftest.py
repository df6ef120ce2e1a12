"""Supervisors for the tests: as a process of their own, and inside the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tradesaga.embedded.supervisor import Event, EventKind, RestartPolicy, Service, Supervisor

SECONDS_MAX = 15.0
"""Bound of every wait in these tests."""


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until another process has made `condition` true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SECONDS_MAX
    while not condition():
        assert loop.time() < deadline, f"not within {SECONDS_MAX} s: {what}"
        await asyncio.sleep(0.005)


def lives(pid: int) -> bool:
    """Tell whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@dataclass(slots=True)
class Supervised:
    """A supervisor in a process of its own."""

    process: asyncio.subprocess.Process
    addresses: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    async def up(self) -> None:
        """Read its events until all is up."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS_MAX):
            while line := await self.process.stdout.readline():
                event = json.loads(line)
                if event["kind"] == EventKind.READY:
                    self.pids[event["service"]] = event["pid"]
                if event["kind"] == EventKind.UP:
                    self.addresses = event
                    return
        pytest.fail(f"ended before it was up, code {await self.process.wait()}")

    async def end(self) -> None:
        """Kill it, if it still lives, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        async with asyncio.timeout(SECONDS_MAX):
            await self.process.communicate()


Spawn = Callable[[], Awaitable[Supervised]]


@pytest.fixture
async def spawn_supervisor(state_dir: Path) -> AsyncIterator[Spawn]:
    """Start supervisor processes on `state_dir`; whatever is left is killed at the end."""
    spawned: list[Supervised] = []

    async def spawn() -> Supervised:
        argv = ("-m", "tests.embedded.supervised", str(state_dir))
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join((root, *filter(None, (os.environ.get("PYTHONPATH"),))))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *argv,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        spawned.append(Supervised(process))
        return spawned[-1]

    yield spawn
    for supervised in spawned:
        await supervised.end()
        for pid in supervised.pids.values():
            await eventually(lambda pid=pid: not lives(pid), f"end of {pid}")  # type: ignore[misc]  # a default binds the loop's value


@dataclass(slots=True)
class Running:
    """A supervisor inside the test and what it told."""

    stop: asyncio.Event
    events: list[Event]

    def count(self, kind: EventKind, service: str = "") -> int:
        """Count the events of a kind, of one service or of all."""
        return sum(event.kind is kind and service in ("", event.service) for event in self.events)


@contextlib.asynccontextmanager
async def supervised(
    state_dir: Path, stages: Sequence[Sequence[Service]], policy: RestartPolicy | None = None
) -> AsyncIterator[Running]:
    """Run a supervisor until the body ends; its error, if any, comes out here."""
    running = Running(asyncio.Event(), [])
    supervisor = Supervisor(state_dir, stages, running.events.append, policy)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(running.stop))
        async with asyncio.timeout(SECONDS_MAX):
            await supervisor.up.wait()
        try:
            yield running
        finally:
            running.stop.set()


@pytest.fixture
def unused_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        return first.getsockname()[1], second.getsockname()[1]
