"""Child processes that cannot outlive their parent nor meet a former self (Linux).

    free ──take_over──► fenced ──spawn──► running ──until──► ready ──stop, or its own end──► free

Spawn from the main thread alone: the death signal refers to the thread that forked. Waiting
never blocks the event loop and never guesses by pid: a pidfd is held on whatever is signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradesaga.embedded.failures import StartFailed
from tradesaga.embedded.fence import Fence
from tradesaga.embedded.identity import Identity
from tradesaga.embedded.probes import Probe, answers

POLL_SECONDS = 0.005

# A fresh interpreter between fork and exec: preexec_fn is unsafe once threads exist.
_EXEC_SHIM = """
import ctypes, os, sys
parent, uid, gid, death_signal = map(int, sys.argv[1:5])
if uid >= 0:  # first, because a change of credentials clears the death signal
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(1, death_signal, 0, 0, 0)
if os.getppid() != parent:  # the parent died before prctl
    os._exit(111)
os.umask(0o077)
os.execv(sys.argv[5], sys.argv[5:])
"""


@dataclass(frozen=True, slots=True)
class StopStep:
    """Send `signal_number`, then wait up to `seconds` before the next step."""

    signal_number: signal.Signals
    seconds: float


class Child:
    """One process behind its fence; at most one at a time, and none of a former life beside it."""

    def __init__(
        self, name: str, *, fence: Path, log: Path, stop_steps: Sequence[StopStep]
    ) -> None:
        self.name = name
        self.log = log
        self.fence = Fence(fence)
        self.stop_steps = tuple(stop_steps)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs or is not yet reaped."""
        return None if self.process is None else self.process.pid

    async def take_over(self) -> None:
        """Hold the fence; end what is left of a former life first, in order, then by force.

        Raises StartFailed, Unusable.
        """
        assert self.process is None, "it would be taken for a former life and killed"
        if await self.fence.take(0.2):
            return
        holders: tuple[int, ...] = ()
        for step in self.stop_steps:
            holders = self.fence.signal_holders(step.signal_number)
            if await self.fence.take(step.seconds):
                return
        raise StartFailed(
            f"{self.name}: processes {holders or 'that we may not see'} of a former run still hold "
            f"{self.fence.path} and do not end; end them by hand (fuser {self.fence.path})"
        )

    def spawn(
        self,
        argv: Sequence[str],
        *,
        death_signal: signal.Signals,
        identity: Identity | None,
        env: Mapping[str, str],
    ) -> None:
        """Start it. The fence must be held, the thread must be the main one."""
        assert self.fence.fd is not None, "take_over first"
        assert self.process is None, "one at a time"
        assert threading.current_thread() is threading.main_thread(), "see the module docstring"
        uid, gid = (-1, -1) if identity is None else (identity.uid, identity.gid)
        numbers = map(str, (os.getpid(), uid, gid, int(death_signal)))
        self.log.touch(mode=0o600)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _EXEC_SHIM, *numbers, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,  # a file, never our pipe: a heir of a pipe keeps its reader waiting
                stderr=output,
                cwd="/",
                env=dict(env),
                process_group=0,  # Ctrl-C reaches the supervisor alone
                pass_fds=(self.fence.fd,),
            )

    async def until(self, ready: Probe, seconds_max: float) -> None:
        """Poll `ready`; raise StartFailed, with the child gone, if it dies first or is late."""
        process = self.process
        assert process is not None, "spawn first"
        try:
            async with asyncio.timeout(seconds_max):
                await _poll_while_alive(ready, process)
        except asyncio.CancelledError:
            await self.stop()  # in good order: it may have begun to work
            raise
        except BaseException as error:
            self.kill()
            self._reap(process)
            if isinstance(error, TimeoutError):
                raise self._failed(f"is not ready after {seconds_max:.0f} s") from error
            raise
        if (code := process.poll()) is not None:
            self._reap(process)
            raise self._failed(_ended(code))

    async def succeeded(self, seconds_max: float) -> None:
        """Wait until a child with one task has done it, or raise StartFailed."""
        process = self.process
        assert process is not None, "spawn first"
        try:
            async with asyncio.timeout(seconds_max):
                await _end_of(process)
        except TimeoutError as error:
            raise self._failed(f"is not done after {seconds_max:.0f} s") from error
        finally:
            self.kill()
            code = self._reap(process)
        if code:
            raise self._failed(_ended(code))

    async def exited(self) -> int:
        """Wait for its end, reap it and drop the fence; the code is negative for a signal."""
        process = self.process
        assert process is not None, "spawn first"
        await _end_of(process)
        return self._reap(process)

    async def stop(self) -> None:
        """Signal and wait, step by step, until it is gone. Idempotent."""
        process = self.process
        if process is None:
            return
        for step in self.stop_steps:
            process.send_signal(step.signal_number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(step.seconds):
                    await _end_of(process)
                break
        self._reap(process)

    def kill(self) -> None:
        """End it at once; `exited` or `stop` still has to follow."""
        if self.process is not None:
            self.process.kill()

    def _reap(self, process: subprocess.Popen[bytes]) -> int:
        code = process.wait()
        if self.process is process:
            self.process = None
            self.fence.drop()
        return code

    def _failed(self, what: str) -> StartFailed:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            lines = log.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1].strip()}" if lines else ""
        return StartFailed(f"{self.name} {what}, see {self.log}{last}")


def _ended(code: int) -> str:
    return f"exited with code {code}" if code >= 0 else f"was ended by signal {-code}"


async def _poll_while_alive(ready: Probe, process: subprocess.Popen[bytes]) -> None:
    """Return when `ready` says so or the process ends, whichever is first."""

    async def poll() -> None:
        while not await answers(ready):  # noqa: ASYNC110  # another process sets no Event
            await asyncio.sleep(POLL_SECONDS)

    async with asyncio.TaskGroup() as group:
        polling = group.create_task(poll())
        watching = group.create_task(_end_of(process))
        polling.add_done_callback(lambda _: watching.cancel())
        watching.add_done_callback(lambda _: polling.cancel())


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    pidfd = os.pidfd_open(process.pid)  # ours and not reaped: the pid cannot be reused
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
