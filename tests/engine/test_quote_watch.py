"""Stale quotes: by the feed's cadence and the session, one symbol at a time, or the whole feed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.domain.limits import LIMITS, SESSION
from tests.engine.place import SETTINGS, Place
from tests.engine.test_vital_signs import standing
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung
from tradesaga.domain.market import Quote
from tradesaga.engine.quote_watch import SYMBOLS_MAX
from tradesaga.testing.clock import VirtualClock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LIMIT = LIMITS.quote_age_max + SETTINGS.quote_cadence
NOON = SESSION.open + timedelta(hours=2)


def place_at(now: datetime) -> Place:
    return Place(clock=VirtualClock(now))


def quote(place: Place, at: datetime, symbol: str = "ACME") -> dict[str, Quote]:
    return {symbol: replace(place.market_data.show(symbol, 100), at=at)}


@pytest.mark.parametrize(
    ("now", "at", "is_stale"),
    [
        (NOON, NOON - LIMIT, False),
        (NOON, NOON - LIMIT - SECOND, True),
        (NOON, None, True),
        (SESSION.open + LIMIT, SESSION.open - timedelta(days=3), False),  # no session between
        (SESSION.open + LIMIT + SECOND, SESSION.open - timedelta(days=3), True),
        (SESSION.open + LIMIT, None, False),
        (SESSION.open - SECOND, None, False),
        (SESSION.close, SESSION.open, False),
    ],
)
async def test_age_counts_within_the_session(
    now: datetime, at: datetime | None, is_stale: bool
) -> None:
    place = place_at(now)
    async with place.running() as parts:
        parts.watchers.quotes.saw(["ACME"], {} if at is None else quote(place, at))
        assert standing(parts) == ([Cause.STALE_DATA] if is_stale else [])
        rung = parts.ladder.rung(None, "ACME")
        assert rung is (Rung.NO_ENTRIES if is_stale else Rung.NORMAL)
        assert parts.ladder.rung(None, "BOLT") is Rung.NORMAL


async def test_two_heartbeats_with_a_fresh_quote_end_it() -> None:
    place = place_at(NOON)
    async with place.running() as parts:
        quotes = parts.watchers.quotes
        quotes.saw(["ACME"], {})
        await quotes.check()
        assert standing(parts) == [Cause.STALE_DATA]
        place.market_data.show("ACME", 100)
        place.market_data.down = True
        for _ in range(3):
            await quotes.check()
        assert standing(parts) == [Cause.STALE_DATA], "no answer is no news"
        place.market_data.down = False
        await quotes.check()
        assert standing(parts) == [Cause.STALE_DATA]
        await quotes.check()
        await parts.ladder.write()
        assert standing(parts) == []
        place.market_data.asked.clear()
        await quotes.check()
        assert place.market_data.asked == [], "what is fresh is not asked for again"


async def test_it_ends_after_the_session_and_is_known_to_the_next_process() -> None:
    place = place_at(SESSION.close - SECOND)
    async with place.running() as parts:
        parts.watchers.quotes.saw(["ACME"], {})
        await parts.ladder.write()
    async with place.running() as parts:
        assert standing(parts) == [Cause.STALE_DATA]
        await parts.watchers.quotes.check()
        place.clock.advance(SECOND)
        for _ in range(2):
            assert standing(parts) == [Cause.STALE_DATA]
            await parts.watchers.quotes.check()
        await parts.ladder.write()
        assert standing(parts) == []


async def test_many_stale_symbols_are_one_reason_for_all() -> None:
    place = place_at(NOON)
    symbols = [f"S{n}" for n in range(SYMBOLS_MAX + 1)]
    async with place.running() as parts:
        quotes = parts.watchers.quotes
        quotes.saw(symbols, {})
        assert [reason.scope for reason in parts.ladder.ladder.reasons] == [EVERYWHERE]
        assert "21 symbols" in parts.ladder.ladder.reasons[0].detail
        for symbol in symbols:
            place.market_data.show(symbol, 100)
        await quotes.check()
        await quotes.check()
        await parts.ladder.write()
        assert standing(parts) == []
