"""Turns: while a life is recorded, what comes from outside reaches the engine one by one.

    neighbour, database, bus,      +--------+   one, when the engine is at rest    +--------+
    clock, timer, person, mark --> | queue  | -----------------------------------> | engine |
                                   +--------+            noted on the tape         +--------+

The engine is at rest when each of its tasks waits for something that has not happened. From one
turn to the next it runs by itself alone, on the order in which the loop runs what is ready. So the
order of the turns, which is that of the tape, is all that a replay needs in order to go the same
way; however much comes at one and the same moment.

Only what runs inside takes turns: the tasks that `Turns.live` begins, and theirs. Who merely looks
on, as a read over the API, passes through. An engine that is not at rest within `LOOKS_MAX` passes
of the loop is given the next turn all the same: trading never waits for its recording.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, Protocol, TypeVar

from structlog import get_logger
from typing_extensions import TypeVarTuple, Unpack, override

from tradesaga.adapters.virtual_time import VirtualLoop

log = get_logger()
T = TypeVar("T")
_Values = TypeVarTuple("_Values")
Schedule = Callable[..., asyncio.TimerHandle]
"""`loop.call_at` or `loop.call_later`."""
LOOKS_MAX: Final = 1000
QUIET_LOOKS: Final = 2
"""Looks in a row at which nothing moves: a callback that ends a task is no task itself."""


class TakesTurns(Protocol):
    """What the tasks inside are subject to."""

    def timer(
        self, schedule: Schedule, when: float, callback: Callable[..., object], values: Any
    ) -> asyncio.TimerHandle:
        """Have `callback` called in a turn of its own, when its time has come."""
        ...


INSIDE: Final[ContextVar[TakesTurns | None]] = ContextVar("inside", default=None)
"""Set for the tasks of an engine that is recorded or replayed, except while a port has them."""
_PART: Final[ContextVar[tuple[asyncio.Task[Any] | None, str]]] = ContextVar(
    "part", default=(None, "")
)


def part() -> str:
    """Which part of the engine asks: its task by the work it does, the same in each version run."""
    task = asyncio.current_task()
    named, name = _PART.get()
    if task is None or task is named:
        return name
    return getattr(task.get_coro(), "__qualname__", "")


@contextmanager
def inside(turns: TakesTurns, name: str) -> Iterator[None]:
    """Have the current task be a part of the engine, of that name, within the block."""
    entered = INSIDE.set(turns)
    named = _PART.set((asyncio.current_task(), name))
    try:
        yield
    finally:
        _PART.reset(named)
        INSIDE.reset(entered)


class TurnTaking:
    """A mixin for event loops: timers of the engine's tasks fire in turns of their own."""

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As the loop."""
        turns = INSIDE.get()
        schedule: Schedule = super().call_later  # type: ignore[misc]  # the loop's
        if turns is None:
            return schedule(delay, callback, *args, context=context)
        return turns.timer(schedule, delay, callback, args)


class TurnLoop(VirtualLoop):
    """Virtual time for an engine that is recorded or replayed."""

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Values]], object],
        *args: *_Values,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As the loop; timers of the engine's tasks fire in turns of their own."""
        turns = INSIDE.get()
        if turns is None:
            return super().call_at(when, callback, *args, context=context)
        return turns.timer(super().call_at, when, callback, args)


class Turn:
    """One that waits for its turn: a task, or something to be called."""

    __slots__ = ("call", "given", "woken")

    def __init__(self, call: Callable[[], object] | None = None) -> None:
        self.call = call
        self.given = False
        self.woken: asyncio.Future[None] | None = None


class Turns:
    """Gives the turns of one life, on the loop that runs; `noted` is told of each timer's."""

    def __init__(self, noted: Callable[[str, int, bool], object]) -> None:
        self._noted = noted
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._away: set[asyncio.Task[Any]] = set()
        self._queue: deque[Turn] = deque()
        self._awaited: Turn | None = None
        self._timers: Counter[str] = Counter()
        self._looking = False
        self._warned = False
        self._make = self._loop.get_task_factory()
        self._loop.set_task_factory(self._task)

    # ---- those inside --------------------------------------------------------------------------

    @asynccontextmanager
    async def live(self, name: str) -> AsyncIterator[None]:
        """Have the current task, and those that it begins, be the engine's.

        Its first turn comes before all others that wait: a person's command is not kept waiting.
        """
        task = asyncio.current_task()
        assert task is not None, "a task is inside, not the loop"
        if (cancelled := await self.wait(first=True)) is not None:
            raise cancelled
        self._tasks.add(task)
        with inside(self, name):
            try:
                yield
            finally:
                self._tasks.discard(task)

    async def through(self, asked: Awaitable[T]) -> T:
        """Await what a port was asked; its outcome, in its turn. Raises what it raises."""
        task = asyncio.current_task()
        assert task is not None, "a task asks"
        failure: BaseException | None = None
        answer: Any = None
        outside = INSIDE.set(None)
        self._away.add(task)
        try:
            try:
                answer = await asked
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- raised below
                failure = error
            cancelled = await self.wait()
        finally:
            self._away.discard(task)
            INSIDE.reset(outside)
        failure = cancelled or failure
        if failure is not None:
            raise failure
        found: T = answer
        return found

    def call(self, call: Callable[[], object], *, first: bool = False) -> None:
        """Have it called in a turn, in the next one if it is to be the `first`."""
        self._join(Turn(call), first=first)

    def timer(
        self, schedule: Schedule, when: float, callback: Callable[..., object], values: Any
    ) -> asyncio.TimerHandle:
        """As TakesTurns; one that is cancelled while it waits for its turn does not fire."""
        name, context = part(), copy_context()
        self._timers[name] += 1
        number = self._timers[name]
        self._noted(name, number, False)
        handles: list[asyncio.TimerHandle] = []

        def fire() -> None:
            if not handles[0].cancelled():
                self._noted(name, number, True)
                context.run(callback, *values)

        outside = INSIDE.set(None)
        try:
            handles.append(schedule(when, self.call, fire))
        finally:
            INSIDE.reset(outside)
        return handles[0]

    async def wait(self, *, first: bool = False) -> asyncio.CancelledError | None:
        """Return when it is the caller's turn, however often it is cancelled before; with that."""
        turn, cancelled = Turn(), None
        self._join(turn, first=first)
        while not turn.given:
            turn.woken = self._loop.create_future()
            try:
                await turn.woken
            except asyncio.CancelledError as error:
                cancelled = error
        if self._awaited is turn:
            self._awaited = None
        return cancelled

    # ---- whose turn it is ----------------------------------------------------------------------

    def _join(self, turn: Turn, *, first: bool) -> None:
        if first:
            self._queue.appendleft(turn)
        else:
            self._queue.append(turn)
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look, 0, 0)

    def _look(self, quiet: int, looks: int) -> None:
        if looks < LOOKS_MAX:
            quiet = quiet + 1 if self._at_rest() else 0
            if quiet <= QUIET_LOOKS:
                self._loop.call_soon(self._look, quiet, looks + 1)
                return
        elif not self._warned:
            self._warned = True
            log.warning("a turn was given out of order", looks=looks)
        self._give(self._queue.popleft())
        self._looking = bool(self._queue)
        if self._looking:
            self._loop.call_soon(self._look, 0, 0)

    def _give(self, turn: Turn) -> None:
        turn.given = True
        if turn.call is not None:
            turn.call()
        elif turn.woken is not None and not turn.woken.done():
            self._awaited = turn
            turn.woken.set_result(None)

    def _at_rest(self) -> bool:
        return self._awaited is None and not any(map(self._moves, self._tasks))

    def _moves(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task is about to run, or has not begun to wait."""
        if task in self._away or task.done():
            return False
        waits: asyncio.Future[Any] | None = task._fut_waiter  # type: ignore[attr-defined]  # no other way to see it
        return waits is None or waits.done()

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **rest: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any]
        if self._make is None:
            task = asyncio.Task(coro, loop=loop, **rest)
        else:
            task = self._make(loop, coro, **rest)  # type: ignore[assignment]  # it makes tasks
        if INSIDE.get() is self:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task
