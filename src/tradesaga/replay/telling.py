"""The turns of a recorded life, given again in the order in which they stand on the tape.

Whenever the engine is at rest, the next turn of the tape is given: an answer to whoever asked for
it, a timer, a message, a command. So each outcome waits for all that stands before it, and the
clock is read as it was read then. What the engine does in between it does by itself.

    on the tape, asked now          its outcome comes in its turn
    on the tape, not asked now      passed over: nobody can ask for it later, the engine is at rest
    begun on the tape, never over   the life ended first: nor is it over now
    asked now, not on the tape      the asker is told at once; sleeps and timers go by the time

The last two lines of the table are those of another engine or other settings: from the first such
difference on the replay is as good as what it is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tradesaga.domain.errors import Fenced
from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.replay.tape import ASKED, CALL, CANCELLED, SLEEP, TIMER, TURNS, Line
from tradesaga.replay.turns import Schedule, TurnLoop, part

LATE_SECONDS_MAX: Final = 5.0
"""A timer that has not come so long after its time is another one than was recorded."""
EARLY_SECONDS_MAX: Final = 0.1
"""As far as the loop's clock and the one that is noted may differ."""
OVER: Final = "the recorded life is over"
Key = tuple[str, str]
Told = Callable[[Line], object]


@dataclass(slots=True)
class Claim:
    """Somebody who waits for a turn; `place` is None if the life ended before it."""

    place: int | None
    told: asyncio.Future[Line]


class ToldClock:
    """Implements `ports.clock.Clock`: what the engine reads is what it read then."""

    def __init__(self, first: Line) -> None:
        self.telling: Telling | None = None
        self._now, self._ticked = first.at, first.monotonic
        self._times: deque[datetime] = deque()
        self._ticks: deque[float] = deque()

    @property
    def standing(self) -> datetime:
        """The time of this turn; no reading of the engine's."""
        return self._now

    def now(self) -> datetime:
        """Market time, aware UTC, never earlier than the answer before."""
        if self._times:
            self._now = max(self._now, self._times.popleft())
        return self._now

    def monotonic(self) -> float:
        """Real seconds, of the life that was recorded."""
        assert self.telling is not None, "the clock of a telling"
        ticked = self._ticks.popleft() if self._ticks else self.telling.monotonic()
        self._ticked = max(self._ticked, ticked)
        return self._ticked

    async def sleep_until(self, when: datetime) -> None:
        """Return in the turn in which that sleep was over, else when the tape is at `when`."""
        assert self.telling is not None, "the clock of a telling"
        await self.telling.sleep(when)

    def reach(self, moment: datetime) -> None:
        """Somebody wakes off the tape: it is as late as that."""
        self._now = max(self._now, moment)

    def turn(self, line: Line | None, following: Sequence[Line]) -> None:
        """A turn begins, of which the lines up to the next one have the readings."""
        if line is not None:
            self._now = max(self._now, line.at)
            self._ticked = max(self._ticked, line.monotonic)
        self._times = deque(
            datetime_of(micros_of(one.at) - before) for one in following for before in one.times
        )
        self._ticks = deque(second for one in following for second in one.ticks)


class Telling:
    """Gives the turns; `ended` is set when all have been given and the engine is at rest."""

    def __init__(self, loop: TurnLoop, lines: Sequence[Line], clock: ToldClock) -> None:
        self._loop, self._lines, self._clock = loop, lines, clock
        self._begin = lines[0].monotonic
        self._last = max((n for n, line in enumerate(lines) if line.kind in TURNS), default=0)
        self._inputs: dict[str, Told] = {}
        self._place = 0
        self._claims: dict[int, Claim] = {}
        self._unanswered: list[Claim] = []
        self._released = False
        self.astray = ""
        """What was asked first that is not on the tape, and when."""
        self._timers: Counter[str] = Counter()
        self._timers_there: dict[int, asyncio.TimerHandle] = {}
        self._slept: Counter[str] = Counter()
        self._late: list[tuple[datetime, asyncio.Future[Line]]] = []
        self._calls, self._exact = _by_question(lines)
        self.missed: list[Line] = []
        self.ended: asyncio.Future[None] = loop.create_future()
        clock.telling = self
        loop.at_rest = self._go_on

    def begin(self, inputs: Mapping[str, Told]) -> None:
        """Tell from the beginning; `inputs` are told of the turns that nobody asks for, by kind."""
        self._inputs.update(inputs)
        self._clock.turn(None, self._until_turn(1))
        self._place = 1

    @property
    def over(self) -> bool:
        """Whether all turns have been given, and nothing more comes of it."""
        return self.ended.done()

    def monotonic(self) -> float:
        """Where the loop is, on the scale of the recording."""
        return self._begin + self._loop.time()

    # ---- those who wait for a turn -------------------------------------------------------------

    async def line_of(self, name: str, key: str) -> Line | None:
        """The outcome of a question, in its turn; None at once for one that is not on the tape.

        Raises CancelledError in the turn in which the asker gave up, Fenced when all is over.
        """
        return await self.told(self.claim(name, key))

    async def told(self, claim: Claim | None) -> Line | None:
        """As `line_of`, of a question that has been claimed."""
        if claim is None:
            return None
        try:
            line = await claim.told
        except asyncio.CancelledError:
            if claim.place is None or self._lines[claim.place].error != CANCELLED:
                raise
            await self._given_up(claim)
            raise
        return None if line.error == CANCELLED else line

    async def _given_up(self, claim: Claim) -> None:
        """It gave up then, too: it heard of it in a turn of its own."""
        while claim.told.cancelled():
            claim.told = self._loop.create_future()
            with suppress(asyncio.CancelledError):
                await claim.told

    async def sleep(self, when: datetime) -> None:
        """As the clock's."""
        key = when.isoformat()
        self._slept[key] += 1
        woken: asyncio.Future[Line] = self._loop.create_future()
        place = self._exact.get((SLEEP, key, self._slept[key]), -1)
        if place is not None and place >= self._place:
            self._claims[place] = Claim(place, woken)
        else:
            if place is not None:
                self._stray(f"a sleep until {key}")
            self._late.append((when, woken))
        await woken

    def timer(
        self, schedule: Schedule, when: float, callback: Callable[..., object], values: Any
    ) -> asyncio.TimerHandle:
        """As TakesTurns."""
        key = part()
        self._timers[key] += 1
        place = self._exact.get((TIMER, key, self._timers[key]), -1)
        if place is None:
            return schedule(when + (0.0 if self.astray else LATE_SECONDS_MAX), callback, *values)
        if place < self._place or not self._is_due(place, when):
            self._stray(f"a timer of {key}")
            return schedule(when, callback, *values)
        handle = asyncio.TimerHandle(when, callback, values, self._loop, copy_context())
        self._timers_there[place] = handle
        return handle

    def _stray(self, what: str) -> None:
        if self._place > self._last:
            return  # what was asked in the last turn need not have come to be noted
        self.astray = self.astray or f"{self._clock.standing:%Y-%m-%d %H:%M:%S}Z {what}"

    def _is_due(self, place: int, when: float) -> bool:
        late = self._lines[place].monotonic - self._begin - when
        return -EARLY_SECONDS_MAX <= late <= LATE_SECONDS_MAX

    def claim(self, name: str, key: str) -> Claim | None:
        """A question is asked: who waits for its outcome; None for one that is not on the tape."""
        if self._released:
            raise Fenced(OVER)
        questions = self._calls.get((name, key))
        while questions:
            place = questions.popleft()
            if place is None or place >= self._place:
                return self._claim_at(place)
        if self._place > self._last:
            return self._claim_at(None)
        self._stray(f"{name} {key}".rstrip())
        return None

    def _claim_at(self, place: int | None) -> Claim:
        claim = Claim(place, self._loop.create_future())
        if place is None:
            self._unanswered.append(claim)
        else:
            self._claims[place] = claim
        return claim

    def succeeds(self, claim: Claim | None) -> bool:
        """Whether the outcome is on the tape, and a good one."""
        if claim is None or claim.place is None:
            return False
        return not self._lines[claim.place].error

    def may_succeed(self, claim: Claim | None) -> bool:
        """Whether the outcome is a good one, or unknown."""
        return claim is None or claim.place is None or self.succeeds(claim)

    def is_last(self, claim: Claim | None) -> bool:
        """Whether its outcome is the last turn of the tape."""
        return claim is not None and claim.place == self._last

    def release(self) -> None:
        """All is over: whoever still waits is told to stop acting."""
        self._released = True
        for claim in (*self._claims.values(), *self._unanswered):
            if not claim.told.done():
                claim.told.set_exception(Fenced(OVER))
                claim.told.exception()  # nobody need be left to hear of it

    # ---- the turns -----------------------------------------------------------------------------

    def _go_on(self, seconds: float | None) -> bool:
        """Give the next turn, unless a timer is due before, in so many seconds."""
        while self._place < len(self._lines):
            place, line = self._place, self._lines[self._place]
            if line.kind not in TURNS:
                self._place += 1
                continue
            passing = line.monotonic - self._begin - self._loop.time()
            if seconds is not None and seconds < passing:
                return False
            if self._wake_late(line):
                return True
            self._loop.pass_time(passing)
            self._place += 1
            self._clock.turn(line, self._until_turn(self._place))
            if self._give(place, line):
                return True
        if not self.over:
            self.end()
            return True
        return False

    def end(self) -> None:
        """Nothing more is told."""
        self._place = len(self._lines)
        if not self.over:
            self.ended.set_result(None)

    def _give(self, place: int, line: Line) -> bool:
        if (handle := self._timers_there.pop(place, None)) is not None:
            if not handle.cancelled():
                handle._run()
                return True
        elif (claim := self._claims.pop(place, None)) is not None:
            if not claim.told.done():
                claim.told.set_result(line)
                return True
        elif (told := self._inputs.get(line.kind)) is not None:
            told(line)
            return True
        self.missed.append(line)
        return False

    def _wake_late(self, line: Line) -> bool:
        """Wake those whose sleep is over before the line, off the tape.

        One that was given up then comes to be given up now, too, as long as all goes as it went.
        """
        if not self.astray:
            return False
        self._late = [(when, woken) for when, woken in self._late if not woken.done()]
        due = [(when, woken) for when, woken in self._late if when <= line.at]
        for when, woken in due:
            self._clock.reach(when)
            woken.set_result(line)
        return bool(due)

    def _until_turn(self, place: int) -> Sequence[Line]:
        """The lines from there up to the next turn, that one included."""
        end = place
        while end < len(self._lines) and self._lines[end].kind not in TURNS:
            end += 1
        return self._lines[place : end + 1]


def _by_question(
    lines: Sequence[Line],
) -> tuple[Mapping[Key, deque[int | None]], Mapping[tuple[str, str, int], int | None]]:
    """Where the outcome of each question stands, in the order of asking; and that of each timer."""
    exact: dict[tuple[str, str, int], int | None] = {}
    for place, line in enumerate(lines):
        if line.kind == ASKED:
            exact[line.name, line.key, line.number] = None
        elif line.kind in (CALL, SLEEP, TIMER):
            exact[line.name, line.key, line.number] = place
    calls: defaultdict[Key, deque[int | None]] = defaultdict(deque)
    for (name, key, _), place_or_none in exact.items():
        calls[name, key].append(place_or_none)
    return calls, exact
