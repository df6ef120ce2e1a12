"""One of our own processes (`tradesaga serve`, `tradesaga paper`) as a supervised child.

It runs as the supervisor's user, dies with the supervisor (SIGTERM, so that it drains), and waits
at start until nothing of its former life is alive.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tradesaga.embedded.probes import Probe
from tradesaga.embedded.processes import Child, StopStep
from tradesaga.embedded.state import turn_log

START_SECONDS_MAX = 60.0
GRACE_SECONDS = 10.0


class Program:
    """One program; `env` is asked at every start, so it may name servers started before it.

    `argv[0]` is an absolute path. Without `ready` it counts as up once spawned; without `alive`
    only its end is noticed, not that it hangs.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Callable[[], Mapping[str, str]],
        log: Path,
        ready: Probe | None = None,
        *,
        alive: Probe | None = None,
        grace_seconds: float = GRACE_SECONDS,
        start_seconds_max: float = START_SECONDS_MAX,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self._env = env
        self._ready = ready
        self._alive = alive
        self._start_seconds_max = start_seconds_max
        self.child = Child(
            name,
            fence=log.with_name(f"{name}.fence"),
            log=log,
            stop_steps=(
                StopStep(signal.SIGTERM, grace_seconds),
                StopStep(signal.SIGKILL, 5.0),
            ),
        )

    async def start(self) -> None:
        """Spawn it and wait until it answers.

        Raises StartFailed; nothing is left running then.
        """
        self.child.log.parent.mkdir(parents=True, exist_ok=True)
        await self.child.take_over()
        try:
            turn_log(self.child.log)
            self.child.spawn(self.argv, death_signal=signal.SIGTERM, identity=None, env=self._env())
            if self._ready is not None:
                await self.child.until(self._ready, self._start_seconds_max)
        except BaseException:
            self.child.fence.drop()
            raise

    async def stop(self) -> None:
        """Ask it to end; insist after the grace period. Idempotent."""
        await self.child.stop()

    async def alive(self) -> bool:
        """Ask its liveness probe, if it has one."""
        return self._alive is None or await self._alive()
