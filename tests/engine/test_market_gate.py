"""The market's two sources: entries need both, and what differs is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tests.domain.limits import SESSION
from tests.engine.place import SETTINGS, CountingMetrics, Place, carried_out
from tradesaga.domain.events import SessionChanged
from tradesaga.domain.market import Calendar, MarketStatus, SessionKind
from tradesaga.engine.market_gate import CRYPTO, STATUS_AGE_MAX, MarketGate
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.market_data import ScriptedMarketData

MINUTE = timedelta(minutes=1)
CALENDAR = Calendar(sessions=(SESSION,), first=SESSION.day, last=SESSION.day)
NOON = SESSION.open + timedelta(hours=2)


class Second:
    """A gate whose second source says what it is told to."""

    def __init__(self, now: datetime = NOON, **settings: object) -> None:
        self.source = ScriptedMarketData(VirtualClock(now))
        self.gate = MarketGate(
            replace(CALENDAR, **settings),  # type: ignore[arg-type]  # checked by replace
            hours_only=True, second_source=self.source, market="US_EQUITY",
        )  # fmt: skip

    async def says(self, *, is_open: bool, next_open: datetime | None = None,
                   next_close: datetime | None = None) -> None:  # fmt: skip
        now = self.source.clock.now()
        self.source.status = MarketStatus(
            is_open=is_open, as_of=now, next_open=next_open, next_close=next_close
        )
        await self.gate.ask(now)


async def test_entries_need_both_sources() -> None:
    second = Second()
    assert "has not said" in second.gate.refusal_of_entries(NOON)
    await second.says(is_open=False)
    assert "our calendar not" in second.gate.refusal_of_entries(NOON)
    assert second.gate.is_open(NOON), "exits and cycles go on"
    await second.says(is_open=True)
    assert second.gate.refusal_of_entries(NOON) == ""


async def test_a_word_ages() -> None:
    second = Second()
    await second.says(is_open=True)
    assert second.gate.refusal_of_entries(NOON + STATUS_AGE_MAX) == ""
    assert "has not said" in second.gate.refusal_of_entries(NOON + STATUS_AGE_MAX + MINUTE)
    second.source.down = True
    await second.gate.ask(NOON + STATUS_AGE_MAX + MINUTE)
    assert second.gate.refusal_of_entries(NOON + STATUS_AGE_MAX + MINUTE)


async def test_what_it_foretells_counts_between_two_questions() -> None:
    second = Second(SESSION.open - MINUTE)
    await second.says(is_open=False, next_open=SESSION.open, next_close=SESSION.close)
    assert second.gate.refusal_of_entries(SESSION.open + MINUTE) == ""
    early = Second(NOON)
    await early.says(is_open=True, next_close=NOON + MINUTE)
    assert early.gate.refusal_of_entries(NOON) == ""
    assert early.gate.refusal_of_entries(NOON + MINUTE), "it closes early, our calendar does not"


async def test_one_source_only_is_an_explicit_setting() -> None:
    alone = MarketGate(CALENDAR, hours_only=True)
    await alone.ask(NOON)
    assert alone.refusal_of_entries(NOON) == ""
    assert (
        MarketGate(CALENDAR, hours_only=False, second_source=Second().source).refusal_of_entries(
            NOON
        )
        == ""
    )


async def test_an_alarm_is_raised_once_for_each_disagreement() -> None:
    second, metrics = Second(), CountingMetrics()
    await second.says(is_open=False)
    first = second.gate.alarms(NOON, metrics)
    assert [entry.body["alert"] for entry in first] == ["session sources disagree"]
    assert second.gate.alarms(NOON, metrics) == []
    await second.says(is_open=True)
    assert second.gate.alarms(NOON, metrics) == []
    await second.says(is_open=False)
    assert len(second.gate.alarms(NOON, metrics)) == 1
    assert metrics.seen == [("error_occurred", "session_sources_disagree")] * 2


async def test_it_is_told_too_when_only_the_other_is_open() -> None:
    after = SESSION.close + MINUTE
    second = Second(after)
    await second.says(is_open=True)
    assert second.gate.refusal_of_entries(after) == "", "our calendar has closed it already"
    [entry] = second.gate.alarms(after, CountingMetrics())
    assert "our calendar not" in entry.body["why"]


@pytest.mark.parametrize(("days", "alarms"), [(90, 0), (89, 1), (-1, 1)])
async def test_the_horizon(days: int, alarms: int) -> None:
    until = SESSION.day + timedelta(days=days)
    second = Second(last=date.max, checked_until=until)
    await second.says(is_open=True)
    found = second.gate.alarms(NOON, CountingMetrics())
    assert [entry.body["alert"] for entry in found] == ["calendar ends soon"] * alarms


def changed(kind: SessionKind, at: datetime, market: str = "US_EQUITY") -> SessionChanged:
    return SessionChanged(market=market, session=kind, effective_at=at)


async def test_events_tighten_and_are_of_our_market() -> None:
    second = Second()
    await second.says(is_open=True)
    assert not second.gate.heard(changed(SessionKind.CLOSED, NOON, CRYPTO))
    assert second.gate.is_open(NOON)
    assert second.gate.heard(changed(SessionKind.CLOSED, NOON))
    assert not second.gate.is_open(NOON)
    assert second.gate.refusal_of_entries(NOON)
    second.gate.heard(changed(SessionKind.REGULAR, NOON + MINUTE))
    assert second.gate.is_open(NOON + MINUTE)
    before = SESSION.pre_open
    second.gate.heard(changed(SessionKind.REGULAR, before))
    assert not second.gate.is_open(before), "an event never opens what our calendar closes"


def test_what_is_held_for_the_open_is_released_half_a_minute_after_it() -> None:
    gate = MarketGate(CALENDAR, hours_only=True)
    assert gate.release_at(SESSION.pre_open) == SESSION.open + timedelta(seconds=30)
    assert gate.release_at(NOON) == NOON
    assert gate.release_at(SESSION.close) is None
    assert gate.release_at(NOON + timedelta(days=3)) is None, "no session on that date"


async def test_without_the_second_source_nothing_is_entered() -> None:
    place = Place(settings=replace(SETTINGS, second_source=True))
    place.market_data.show("ACME", 100)
    async with place.running() as parts:
        refusal = parts.market.refusal_of_entries(place.clock.now())
        assert "has not said" in refusal
        place.market_data.status = replace(place.market_data.status, is_open=True)
        await parts.market.ask(place.clock.now())
        assert parts.market.refusal_of_entries(place.clock.now()) == ""
        await carried_out(place, parts)
