"""Keep services up: start in stages, restart what dies or hangs, stop in reverse order.

    stage 1 ready ──► stage 2 ready ──► ... ──► up ──► (stop set) ──► stopped, last started first
                                                 │  ▲
                    a child ends, or misses three │  │ started again after 50 ms x 2^n, at most 5 s
                    probes and is killed          ▼  │
                                               restarting ──► 9th crash in 60 s: stop all, raise

A failed restart counts as one more crash. Services within a stage start together. One supervisor
per state directory: a second one is refused, with the pid of the first.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tradesaga.domain.errors import TradesagaError
from tradesaga.embedded.failures import AlreadyRunning, CrashLoop, NoSpace
from tradesaga.embedded.fence import Fence
from tradesaga.embedded.probes import answers
from tradesaga.embedded.processes import Child
from tradesaga.embedded.state import make_state_dir


class Service(Protocol):
    """What the supervisor needs of a server or program."""

    @property
    def name(self) -> str:
        """Short and unique: it stands in events and file names."""

    @property
    def child(self) -> Child:
        """The process behind it."""

    async def start(self) -> None:
        """Return when it is ready; on any error nothing of it is left running."""

    async def alive(self) -> bool:
        """Probe once, see probes.Probe. The caller bounds the time."""

    async def stop(self) -> None:
        """End it. Idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When to restart and when to give up; all in seconds but the counts."""

    delay_first: float = 0.05
    delay_max: float = 5.0
    space_delay: float = 10.0
    """Before a start that a full disk refused is tried again; it is no crash."""
    crashes_max: int = 8
    window: float = 60.0
    probe_interval: float = 5.0
    probe_time_max: float = 2.0
    probe_misses_max: int = 3

    def delay(self, crashes: int) -> float:
        """Return the pause after the `crashes`-th crash within the window."""
        return min(self.delay_max, self.delay_first * 2.0 ** (crashes - 1))


class EventKind(StrEnum):
    """What the supervisor tells."""

    READY = "ready"
    UP = "up"
    EXITED = "exited"
    HUNG = "hung"
    START_FAILED = "start_failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `service` is empty when it concerns all."""

    kind: EventKind
    service: str = ""
    pid: int | None = None
    detail: str = ""


class Supervisor:
    """Owns `stages` of services while `run` runs. `on_event` is called in the event loop."""

    def __init__(
        self,
        state_dir: Path,
        stages: Sequence[Sequence[Service]],
        on_event: Callable[[Event], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.stages = tuple(map(tuple, stages))
        self.up = asyncio.Event()
        self._on_event = on_event
        self._policy = policy or RestartPolicy()
        self._lock = Fence(self.state_dir / "supervisor.lock")

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, watch until `stop` is set, stop everything.

        Raises AlreadyRunning; Unusable or StartFailed from a first start; CrashLoop. In every
        case, cancellation too, no service is left running.
        """
        make_state_dir(self.state_dir)
        await self._take_lock()
        try:
            await self._run_services(stop)
        finally:
            try:
                await self._stop_services()
            finally:
                self.up.clear()
                self._lock.drop()

    async def _run_services(self, stop: asyncio.Event) -> None:
        # Groups wrap what their tasks raise; the first error is the cause, the rest its echo.
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._start_and_watch())
                await stop.wait()
                work.cancel()
        except BaseExceptionGroup as errors:
            ours, others = errors.split(TradesagaError)
            if ours is None or others is not None:
                raise
            raise _first(ours) from errors

    async def _start_and_watch(self) -> None:
        async with asyncio.TaskGroup() as watchers:
            for stage in self.stages:
                async with asyncio.TaskGroup() as starting:
                    for service in stage:
                        starting.create_task(self._start(service))
                for service in stage:
                    watchers.create_task(self._watch(service))
            self.up.set()
            self._tell(EventKind.UP)

    async def _start(self, service: Service) -> None:
        await service.start()
        self._tell(EventKind.READY, service, pid=service.child.pid)

    async def _watch(self, service: Service) -> None:
        """Restart one service for ever; bounded by the policy's crashes in a window."""
        loop = asyncio.get_running_loop()
        crashes: list[float] = []
        while True:
            if service.child.process is not None:
                detail = await self._until_ended(service)
                self._tell(EventKind.EXITED, service, detail=detail)
            crashes = [at for at in crashes if loop.time() - at < self._policy.window]
            crashes.append(loop.time())
            if len(crashes) > self._policy.crashes_max:
                raise CrashLoop(
                    f"{service.name} ended {len(crashes)} times within "
                    f"{self._policy.window:.0f} s, see {service.child.log}"
                )
            await asyncio.sleep(self._policy.delay(len(crashes)))
            try:
                await self._start(service)
            except (TradesagaError, OSError) as error:
                self._tell(EventKind.START_FAILED, service, detail=str(error))
                if isinstance(error, NoSpace):
                    crashes.pop()
                    await asyncio.sleep(self._policy.space_delay)

    async def _until_ended(self, service: Service) -> str:
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(service))
            code = await service.child.exited()
            probing.cancel()
        return f"code {code}" if code >= 0 else f"signal {-code}"

    async def _probe(self, service: Service) -> None:
        """Kill a service that lives but does not answer; its watcher sees the end."""
        misses = 0
        while misses < self._policy.probe_misses_max:
            await asyncio.sleep(self._policy.probe_interval)
            try:
                async with asyncio.timeout(self._policy.probe_time_max):
                    answered = await answers(service.alive)
            except TimeoutError:
                answered = False
            misses = 0 if answered else misses + 1
        detail = f"no answer to {misses} probes"
        self._tell(EventKind.HUNG, service, pid=service.child.pid, detail=detail)
        service.child.kill()

    async def _stop_services(self) -> None:
        for stage in reversed(self.stages):
            for service in reversed(stage):
                if service.child.process is not None:
                    await service.stop()
                    self._tell(EventKind.STOPPED, service)

    async def _take_lock(self) -> None:
        if not await self._lock.take():
            raise AlreadyRunning(
                f"tradesaga is already running on {self.state_dir} (pid {_holder(self._lock)}): "
                "stop it first, or choose another directory with --state-dir"
            )
        assert self._lock.fd is not None
        os.ftruncate(self._lock.fd, 0)
        os.pwrite(self._lock.fd, f"{os.getpid()}\n".encode(), 0)

    def _tell(
        self,
        kind: EventKind,
        service: Service | None = None,
        *,
        pid: int | None = None,
        detail: str = "",
    ) -> None:
        name = "" if service is None else service.name
        self._on_event(Event(kind=kind, service=name, pid=pid, detail=detail))


def _holder(lock: Fence) -> str:
    return lock.path.read_text(encoding="utf-8").strip() or "unknown"


def _first(errors: BaseExceptionGroup[TradesagaError]) -> TradesagaError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, TradesagaError)
    return error
