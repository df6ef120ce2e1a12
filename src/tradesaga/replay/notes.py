"""Writes what is seen on a tape, with the times of the clock.

Every question of the engine's is noted when it is asked and again, in its turn, when its outcome
is there. Whatever could have an effect outside is on the disk before it leaves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from tradesaga.domain.market_clock import micros_of
from tradesaga.ports.clock import Clock
from tradesaga.replay.tape import ASKED, CALL, CANCELLED, NOTHING, SLEEP, TIMER, Line, Tape
from tradesaga.replay.turns import INSIDE, Turns

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
EFFECTS: Final = frozenset({"submit", "cancel", "publish", "commit"})
"""What is asked for there may be done, whether or not we live to hear of it."""
DIGITS: Final = 6
"""Of a second of real time that are read and noted."""


@dataclass(slots=True)
class Notes:
    """Writes lines with the clock's times; `read` and `ticked` are the engine's own readings."""

    tape: Tape
    clock: Clock
    _asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _read: list[int] = field(default_factory=list)
    _ticked: list[float] = field(default_factory=list)
    _turns: Turns | None = None
    _moment: tuple[datetime, float] | None = None

    @property
    def turns(self) -> Turns:
        """Who gives the turns; made when it is first asked for, in the loop of the life."""
        if self._turns is None:
            self._turns = Turns(self._timer)
        return self._turns

    def note(
        self,
        kind: str,
        *,
        name: str = "",
        key: str = "",
        body: object = None,
        code: str = "",
        error: str = "",
        text: str = "",
        number: int = 0,
        flush: bool = False,
    ) -> None:
        """A line about this moment; that something was asked is said as of the line before."""
        if kind != ASKED or self._moment is None:
            self._moment = self.clock.now(), round(self.clock.monotonic(), DIGITS)
        at, monotonic = self._moment
        micros = micros_of(at)
        line = Line(
            at=at,
            kind=kind,
            monotonic=monotonic,
            name=name,
            key=key,
            body=NOTHING if body is None else msgspec.Raw(_encode(body)),
            code=code,
            error=error,
            text=text,
            number=number,
            times=tuple(micros - one for one in self._read),
            ticks=tuple(self._ticked),
        )
        self._read.clear()
        self._ticked.clear()
        self.tape.write(line, flush=flush)

    # ---- the clock -----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time; noted if the engine reads it."""
        at = self.clock.now()
        if INSIDE.get() is not None:
            self._read.append(micros_of(at))
        return at

    def monotonic(self) -> float:
        """The real time; noted if the engine reads it."""
        seconds = round(self.clock.monotonic(), DIGITS)
        if INSIDE.get() is not None:
            self._ticked.append(seconds)
        return seconds

    async def sleep_until(self, when: datetime) -> None:
        """Sleep, and wake in a turn. A sleep that is cancelled ends at once, and is not noted."""
        turns = INSIDE.get()
        if turns is None:
            await self.clock.sleep_until(when)
            return
        key = when.isoformat()
        number = self._ask(SLEEP, key)
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                self.note(SLEEP, name=SLEEP, key=key, number=number)
                woken.set_result(None)

        outside = INSIDE.set(None)
        try:
            await self.clock.sleep_until(when)
        finally:
            INSIDE.reset(outside)
        self.turns.call(wake)
        await woken

    def _timer(self, name: str, number: int, fires: bool) -> None:
        if fires:
            self.note(TIMER, name=TIMER, key=name, number=number)
        else:
            self.note(ASKED, name=TIMER, key=name, number=number)

    # ---- the other ports -----------------------------------------------------------------------

    async def call(
        self,
        name: str,
        key: str,
        asked: Awaitable[T],
        *,
        keep: bool = True,
        shown: Callable[[T], str] = lambda _: "",
    ) -> T:
        """Await the outcome and note it in its turn; the answer if it is to be kept, or what it has
        `shown`.

        Raises what it raises.
        """
        if INSIDE.get() is None:  # somebody who looks on
            return await asked
        number = self._ask(name, key)
        try:
            answer = await self.turns.through(asked)
        except (Exception, asyncio.CancelledError) as error:
            was = CANCELLED if isinstance(error, asyncio.CancelledError) else type(error).__name__
            code = str(getattr(error, "code", ""))
            self.note(
                CALL, name=name, key=key, number=number, error=was, text=str(error), code=code
            )
            raise
        kept = answer if keep else None
        self.note(CALL, name=name, key=key, number=number, body=kept, text=shown(answer))
        return answer

    def _ask(self, name: str, key: str) -> int:
        self._asked[name, key] += 1
        number = self._asked[name, key]
        self.note(ASKED, name=name, key=key, number=number, flush=name in EFFECTS)
        return number
