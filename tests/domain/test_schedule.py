"""Schedules: values, next fires, and what is made up after an absence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.cycle import CycleType
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import DEFAULT_AGENT, ScheduleId, StrategyId
from tradesaga.domain.schedule import (
    EPOCH,
    REBALANCE_CATCH_UP,
    Schedule,
    ScheduleType,
    Wake,
    explain,
    interval_value,
    next_fire,
    next_fires,
    next_multiple,
    read_value,
    read_zone,
    wake,
)

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MINUTELY = Schedule(
    id=ScheduleId(UUID(int=1)),
    agent_id=DEFAULT_AGENT,
    strategy_id=StrategyId(UUID(int=3)),
    cycle_type=CycleType.ANALYSIS,
    schedule_type=ScheduleType.INTERVAL,
    schedule_value="60000",
    zone="America/New_York",
    created_at=NOW,
    updated_at=NOW,
    next_run_at=NOW,
)
NINE = replace(
    MINUTELY, schedule_type=ScheduleType.CRON, schedule_value="0 9 * * 1-5",
    catch_up=REBALANCE_CATCH_UP, next_run_at=datetime(2026, 11, 23, 14, 0, tzinfo=UTC),
)  # fmt: skip
OPENS = replace(
    MINUTELY, schedule_type=ScheduleType.EVENT, next_run_at=None,
    schedule_value="market.session.changed=regular",
)  # fmt: skip


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)), st.integers(100, 86_400_000))
def test_the_next_multiple_is_the_first_that_is_later(since: timedelta, milliseconds: int) -> None:
    after, interval = EPOCH + since, timedelta(milliseconds=milliseconds)
    at = next_multiple(after, interval)
    assert after < at <= after + interval
    assert (at - EPOCH) % interval == timedelta(0)


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)), st.integers(0, 59_999))
def test_the_fires_of_an_agent_may_be_later_than_the_multiples(
    since: timedelta, milliseconds: int
) -> None:
    after, later = EPOCH + since, timedelta(milliseconds=milliseconds)
    minutely = replace(MINUTELY, strategy_id=None, schedule_value=interval_value(MINUTE, later))
    at = next_fire(minutely, after)
    assert at is not None
    assert after < at <= after + MINUTE
    assert (at - EPOCH - later) % MINUTE == timedelta(0)
    assert next_fire(minutely, at) == at + MINUTE
    assert (minutely.interval, minutely.later, explain(minutely)) == (MINUTE, later, "Every minute")
    assert wake(replace(minutely, next_run_at=at), at, absent=False) == Wake(at=at)


def test_nobody_asks_for_fires_that_are_later() -> None:
    assert interval_value(MINUTE) == "60000"
    with pytest.raises(Invalid):
        read_value(ScheduleType.INTERVAL, interval_value(MINUTE, SECOND))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("60000", "60000"),
        ("90s", "90000"),
        ("5m", "300000"),
        ("1h", "3600000"),
        ("31d", "2678400000"),
    ],
)
def test_intervals_are_kept_in_milliseconds(text: str, stored: str) -> None:
    assert read_value(ScheduleType.INTERVAL, text) == stored


@pytest.mark.parametrize("text", ["", "0", "99", "-5m", "5 m", "32d", "9" * 10, "1.5h", "٣s"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_value(ScheduleType.INTERVAL, text)


def test_events_are_those_that_are_known() -> None:
    assert read_value(ScheduleType.EVENT, "trade.order.filled") == "trade.order.filled"
    with pytest.raises(Invalid, match=r"market\.session\.changed=regular"):
        read_value(ScheduleType.EVENT, "market.session.changed=open")


def test_zones_are_those_of_the_database() -> None:
    assert read_zone("Asia/Kathmandu") == "Asia/Kathmandu"
    for name in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(Invalid):
            read_zone(name)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (MINUTELY, "Every minute"),
        (replace(MINUTELY, schedule_value="5400000"), "Every 90 minutes"),
        (replace(MINUTELY, schedule_value="250"), "Every 250 ms"),
        (NINE, "At 09:00 on Monday through Friday (America/New_York)"),
        (OPENS, "On market.session.changed to regular"),
    ],
)
def test_in_words(schedule: Schedule, words: str) -> None:
    assert explain(schedule) == words


def test_the_next_fires() -> None:
    assert next_fires(MINUTELY, NOW, 2) == [NOW + MINUTE, NOW + 2 * MINUTE]
    assert [at.hour for at in next_fires(NINE, NOW, 10)] == [14] * 10
    assert next_fires(OPENS, NOW, 10) == []
    assert next_fire(OPENS, NOW) is None


def test_what_is_not_due_is_left_alone() -> None:
    assert wake(MINUTELY, NOW - SECOND, absent=False) == Wake(at=None)
    assert wake(OPENS, NOW, absent=False) == Wake(at=None)


@given(st.integers(0, 10_000))
def test_slept_over_fires_are_one_and_the_rest_is_counted(seconds: int) -> None:
    now = NOW + seconds * SECOND
    found = wake(MINUTELY, now, absent=False)
    assert found == Wake(at=NOW + seconds // 60 * MINUTE, coalesced=seconds // 60)


@pytest.mark.parametrize(
    ("schedule", "late", "runs"),
    [
        (replace(MINUTELY, schedule_value="3600000"), 60 * SECOND, True),
        (replace(MINUTELY, schedule_value="3600000"), 61 * SECOND, False),
        (NINE, 2 * HOUR, True),
        (NINE, 2 * HOUR + SECOND, False),
        (replace(NINE, catch_up=timedelta(0)), timedelta(0), True),
        (replace(NINE, catch_up=timedelta(0)), SECOND, False),
    ],
)
def test_after_an_absence_only_the_catch_up_window_counts(
    schedule: Schedule, late: timedelta, runs: bool
) -> None:
    assert schedule.next_run_at is not None
    found = wake(schedule, schedule.next_run_at + late, absent=True)
    assert found == (Wake(at=schedule.next_run_at) if runs else Wake(at=None, late=1))


def test_a_long_absence_makes_up_the_latest_only() -> None:
    week = wake(NINE, datetime(2026, 11, 30, 15, 30, tzinfo=UTC), absent=True)
    assert week == Wake(at=datetime(2026, 11, 30, 14, 0, tzinfo=UTC), coalesced=5)
    years = wake(MINUTELY, NOW + timedelta(days=3650), absent=True)
    assert years.coalesced == 999, "counted up to a bound"


def test_awake_a_cron_fire_may_be_a_little_late() -> None:
    strict = replace(NINE, catch_up=timedelta(0))
    due = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    assert wake(strict, due + 4 * SECOND, absent=False) == Wake(at=due)
    assert wake(strict, due + 6 * SECOND, absent=False) == Wake(at=None, late=1)
