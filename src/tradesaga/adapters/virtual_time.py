"""A deterministic asyncio event loop on virtual time: waiting moves the clock instead of waiting.

Callbacks run in the order in which they became ready, timers in the order of their moments. A loop
with nothing ready and no timer is a deadlock and raises. Nothing reaches the outside: there is no
selector, and so no socket, no signal and no thread. The same program gives the same run in every
process with the same version of Python.

Tasks hash by their number: sets of tasks (task groups hold some) iterate alike in every process.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from typing_extensions import override


class Deadlock(Exception):
    """Nothing is ready and no timer is set: everybody waits for somebody else."""


class _NoSelector:
    """Instead of waiting for the network, waiting moves the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if self._loop.rests(timeout):
            return []
        if timeout is None:
            raise Deadlock(f"nothing is ready at {self._loop.time():.6f} s and no timer is set")
        self._loop.pass_time(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


class _NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    def __init__(self, coro: Any, *, number: int, **rest: Any) -> None:
        self._number = number
        super().__init__(coro, **rest)

    @override
    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    """One world's loop."""

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._numbers = itertools.count(1)
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-9
        self.at_rest: Callable[[float | None], bool] | None = None
        """Asked, whenever nothing is ready, whether it makes something happen before the next timer
        (in so many seconds) is due."""
        self.set_task_factory(self._task)

    def rests(self, seconds: float | None) -> bool:
        """Whether `at_rest` has made something happen, now that nothing is ready."""
        return not self._ready and self.at_rest is not None and self.at_rest(seconds)

    @override
    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._seconds

    def pass_time(self, seconds: float) -> None:
        """Move the clock; never backwards."""
        self._seconds += max(0.0, seconds)

    def _task(self, _: asyncio.AbstractEventLoop, coro: Any, **rest: Any) -> asyncio.Task[Any]:
        return _NumberedTask(coro, number=next(self._numbers), loop=self, **rest)

    def _process_events(self, events: list[object]) -> None:
        assert not events, events

    def _write_to_self(self) -> None:
        """Nobody sleeps who could be woken."""
