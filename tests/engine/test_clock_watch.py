"""The host's clock against the database's and the venue's: what counts, what it does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.engine.place import Place
from tests.engine.test_vital_signs import standing
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ladder import Cause, Rung
from tradesaga.ports.clock import Offset

MILLISECOND, SECOND, NONE = timedelta(milliseconds=1), timedelta(seconds=1), timedelta(0)


class SetClock:
    """Another clock, as a test sets it."""

    def __init__(self, ahead: timedelta = NONE, doubt: timedelta = NONE) -> None:
        self.ahead, self.doubt = ahead, doubt
        self.is_down = False

    async def offset(self) -> Offset:
        if self.is_down:
            raise Unavailable("no answer")
        return Offset(ahead=self.ahead, doubt=self.doubt)


def placed(database: SetClock | None = None, venue: SetClock | None = None) -> Place:
    return Place(database_clock=database, venue_clock=venue)


@pytest.mark.parametrize(
    ("database", "venue", "is_off"),
    [
        (SetClock(50 * MILLISECOND), SetClock(10 * SECOND), False),
        (SetClock(51 * MILLISECOND), SetClock(), True),
        (SetClock(-51 * MILLISECOND), SetClock(), True),
        (SetClock(80 * MILLISECOND, 30 * MILLISECOND), SetClock(), False),  # may be the way
        (SetClock(), SetClock(10 * SECOND + MILLISECOND), True),
        (SetClock(), SetClock(-10 * SECOND - MILLISECOND), True),
        (SetClock(), SetClock(12 * SECOND, 2 * SECOND), False),
    ],
)
async def test_what_no_delay_explains_forbids_entries(
    database: SetClock, venue: SetClock, is_off: bool
) -> None:
    place = placed(database, venue)
    async with place.running() as parts:
        await parts.watchers.clocks.check()
        assert standing(parts) == ([Cause.CLOCK_SKEW] if is_off else [])
        database.ahead = venue.ahead = NONE
        await parts.watchers.clocks.check()
        assert parts.ladder.rung() is (Rung.NO_ENTRIES if is_off else Rung.NORMAL)
        await parts.watchers.clocks.check()
        await parts.ladder.write()
        assert standing(parts) == []


async def test_a_clock_that_gives_no_answer_changes_nothing() -> None:
    database, venue = SetClock(SECOND), SetClock()
    place = placed(database, venue)
    async with place.running() as parts:
        clocks = parts.watchers.clocks
        await clocks.check()
        database.ahead, venue.is_down = NONE, True
        for _ in range(3):
            await clocks.check()
        assert standing(parts) == [Cause.CLOCK_SKEW], "the venue's clock was not looked at"
        assert clocks.skew == NONE, "its last word"
        database.is_down = True
        await clocks.check()
        assert standing(parts) == [Cause.CLOCK_SKEW]


async def test_two_seconds_to_the_venue_are_a_warning_told_once() -> None:
    venue = SetClock(2 * SECOND)
    place = placed(venue=venue)
    async with place.running() as parts:
        clocks = parts.watchers.clocks
        await clocks.check()
        assert ("error_occurred", "clock_skew") not in place.metrics.seen
        venue.ahead += MILLISECOND
        await clocks.check()
        await clocks.check()
        assert place.metrics.seen.count(("error_occurred", "clock_skew")) == 1
        assert standing(parts) == []
        assert clocks.skew == 2 * SECOND + MILLISECOND


async def test_without_another_clock_nothing_is_compared() -> None:
    place = placed()
    async with place.running() as parts:
        await parts.watchers.clocks.check()
        assert standing(parts) == []
        assert (parts.watchers.clocks.skew, parts.watchers.clocks.has_venue) == (None, False)
