"""A deterministic asyncio event loop: virtual time, and a seed that says what runs first.

Waiting moves the clock instead of waiting. Of the callbacks that are ready at one instant the seed
chooses the order, so that a race that real scheduling shows once a year shows here soon. A loop
with nothing ready and no timer is a deadlock and raises. Nothing reaches the outside: there is no
selector. The same seed and the same version of Python give the same trace.

Tasks hash by their number: sets of tasks (task groups hold some) iterate alike in every process.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from typing_extensions import override


class Deadlock(Exception):
    """Nothing is ready and no timer is set: everybody waits for somebody else."""


class _NoSelector:
    """Instead of waiting for the network, waiting moves the clock."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock(f"nothing is ready at {self._loop.time():.6f} s and no timer is set")
        self._loop.pass_time(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


class _NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    _numbers = itertools.count()

    def __init__(self, coro: Any, *, number: int, **rest: Any) -> None:
        self._number = number
        super().__init__(coro, **rest)

    @override
    def __hash__(self) -> int:
        return self._number


class SimLoop(asyncio.base_events.BaseEventLoop):
    """One simulated world's loop; `rng` is the only source of chance in it.

    `callbacks` counts what ran. `on_note` is handed every line of the trace.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int, *, on_note: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.callbacks = 0
        self._seconds = 0.0
        self._mixed = 0
        self._digest = hashlib.sha256()
        self._on_note = on_note
        self._numbers = itertools.count(1)
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-9
        self.set_task_factory(self._task)

    @override
    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._seconds

    def pass_time(self, seconds: float) -> None:
        """Move the clock; never backwards."""
        self._seconds += max(0.0, seconds)

    def note(self, line: str) -> None:
        """Write a line of the trace; it becomes part of the trace's hash."""
        stamped = f"{self._seconds:12.6f} {line}"
        self._digest.update(stamped.encode())
        if self._on_note is not None:
            self._on_note(stamped)

    @property
    def trace(self) -> str:
        """A hash over all notes, over the time of every turn and over how many ran in it."""
        end = f"{self._mixed} {self.callbacks} {self._seconds:.6f}"
        digest = self._digest.copy()
        digest.update(end.encode())
        return digest.hexdigest()[:16]

    def _run_once(self) -> None:
        if len(self._ready) > 1:
            ready = list(self._ready)
            self.rng.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        self.callbacks += len(self._ready)
        self._mixed = zlib.crc32(b"%d %r" % (len(self._ready), self._seconds), self._mixed)
        super()._run_once()  # type: ignore[misc]  # private, and the one place to step in

    def _task(self, _: asyncio.AbstractEventLoop, coro: Any, **rest: Any) -> asyncio.Task[Any]:
        return _NumberedTask(coro, number=next(self._numbers), loop=self, **rest)

    def _process_events(self, events: list[object]) -> None:
        assert not events, events

    def _write_to_self(self) -> None:
        """Nobody sleeps who could be woken."""
