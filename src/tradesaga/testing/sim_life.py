"""One simulated process: its calls to the world, and its death between any two of them.

A call is a request that travels, an act of the world, and an answer that travels. A process dies
at a drawn edge of a call or at a drawn time. What it had sent may still take effect afterwards;
it hears nothing more, and whatever it still tries (its tasks unwind by cancellation) ends in
`LifeOver` without any effect. A frozen process hears its answers when it thaws.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from tradesaga.domain.errors import TradesagaError, Unavailable
from tradesaga.ports.services import AmbiguousMatch
from tradesaga.testing.sim_loop import SimLoop
from tradesaga.testing.sim_weather import Trip, Weather

T = TypeVar("T")


class LifeOver(asyncio.CancelledError):
    """The process is dead; nobody is left who could be told."""


class Life:
    """One process from its start to its end; `on_death` is called once, at its death."""

    def __init__(self, loop: SimLoop, weather: Weather, name: str) -> None:
        self.loop = loop
        self.weather = weather
        self.name = name
        self.over = False
        self.frozen_until = 0.0
        self.on_death: Callable[[], object] = lambda: None
        self._waiting: dict[asyncio.Future[Any], None] = {}

    def kill(self, where: str) -> None:
        """SIGKILL: from this instant it has no effect on anything."""
        if self.over:
            return
        self.over = True
        self.loop.note(f"{self.name} dies {where}")
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            future.cancel()
        self.on_death()

    def freeze(self, seconds: float) -> None:
        """SIGSTOP: answers reach it only after that."""
        self.loop.note(f"{self.name} is frozen for {seconds:.3f} s")
        self.frozen_until = self.loop.time() + seconds

    def edge(self, where: str) -> None:
        """A place where it may die. Raises LifeOver if it does, or did before."""
        if not self.over and self.weather.strikes(self.weather.death):
            self.kill(where)
        if self.over:
            raise LifeOver

    def expect(self) -> asyncio.Future[Any]:
        """An answer to wait for; it is cancelled at death."""
        future = self.loop.create_future()
        self._waiting[future] = None
        return future

    def answer(self, future: asyncio.Future[Any], result: object, *, after: float = 0.0) -> None:
        """Let the answer arrive, after the way back and after any freeze."""
        after = max(after, self.frozen_until - self.loop.time())
        self.loop.call_later(after, self._arrive, future, result)

    async def pause(self, seconds: float) -> None:
        """Wait for so long, unless death comes first."""
        self.edge("on its way")
        future = self.expect()
        self.answer(future, None, after=seconds)
        await future

    async def ask(self, name: str, act: Callable[[], T], trip: Trip) -> T:
        """Have the world do `act`; its errors of ours are raised here.

        Raises:
            Unavailable: no answer within `trip.time_max`; the act may have been done, or be done
                later.
        """
        self.edge(f"before {name}")
        future = self.expect()
        if not trip.request_lost:
            self.loop.call_later(trip.there, self._act, name, act, trip, future)
        if trip.is_unanswered:
            self.answer(future, Unavailable(f"no answer to {name}"), after=trip.time_max)
        return await future  # type: ignore[no-any-return]  # what `act` returned

    def _act(
        self, name: str, act: Callable[[], Any], trip: Trip, future: asyncio.Future[Any]
    ) -> None:
        try:
            result = act()
        except (TradesagaError, AmbiguousMatch) as error:
            result = error
        try:
            self.edge(f"after {name}")
        except LifeOver:
            return
        if not trip.answer_lost:
            self.answer(future, result, after=trip.back)

    def _arrive(self, future: asyncio.Future[Any], result: object) -> None:
        self._waiting.pop(future, None)
        if future.done():
            return
        if isinstance(result, TradesagaError | AmbiguousMatch):
            future.set_exception(result)
        else:
            future.set_result(result)
