"""The exchange calendar against days whose hours are on record."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tests.adapters import nyse_rules
from tradesaga.adapters.calendar import (
    ALWAYS_OPEN,
    CHECKED_UNTIL,
    NO_HOLIDAYS,
    Hours,
    Override,
    build_calendar,
)
from tradesaga.domain.errors import Invalid
from tradesaga.domain.market import Calendar, Session, SessionKind


def calendar(first: date, last: date, *, closed: dict[date, str] | None = None) -> Calendar:
    overrides = {day: Override(reason=why) for day, why in (closed or {}).items()}
    return build_calendar(first, last, Hours(), overrides=overrides)


def session(day: str) -> Session | None:
    on = date.fromisoformat(day)
    found = calendar(on, on).sessions
    return found[0] if found else None


@pytest.mark.parametrize(
    "day",
    [
        "2001-09-11",  # attacks; closed to the 14th
        "2001-09-14",
        "2012-10-29",  # Sandy
        "2012-10-30",
        "2018-12-05",  # mourning G. H. W. Bush
        "2025-01-09",  # mourning J. Carter
        "2020-12-25",
        "2021-04-02",  # Good Friday
        "2021-05-31",  # Memorial Day
        "2021-07-05",  # the 4th is a Sunday
        "2022-06-20",  # Juneteenth, a Sunday
        "2025-01-01",
        "2025-11-27",  # Thanksgiving
        "2020-12-19",  # Saturday
        "2020-12-20",  # Sunday
    ],
)
def test_closed(day: str) -> None:
    assert session(day) is None


@pytest.mark.parametrize(
    "day",
    [
        "2001-09-10",
        "2001-09-17",
        "2012-10-26",
        "2012-10-31",
        "2020-12-15",
        "2021-06-18",  # Juneteenth was first kept in 2022
        "2021-12-31",  # New Year 2022 is a Saturday: not moved
        "2025-01-08",
        "2025-01-10",
        "2025-10-13",  # Columbus Day
        "2025-11-11",  # Veterans Day
    ],
)
def test_full_day(day: str) -> None:
    found = session(day)
    assert found is not None
    assert not found.half_day
    assert found.close - found.open == timedelta(hours=6, minutes=30)
    assert found.post_close - found.pre_open == timedelta(hours=16)


@pytest.mark.parametrize(
    "day", ["2020-11-27", "2020-12-24", "2023-07-03", "2024-11-29", "2025-07-03", "2025-12-24"]
)
def test_half_day(day: str) -> None:
    found = session(day)
    assert found is not None
    assert found.half_day
    assert found.reason
    assert found.close - found.open == timedelta(hours=3, minutes=30)
    assert found.post_close - found.close == timedelta(hours=4)  # 13:00 to 17:00


@pytest.mark.parametrize(
    ("day", "open_utc", "close_utc"),
    [
        ("2026-03-06", "14:30", "21:00"),  # Friday before the clocks go forward
        ("2026-03-09", "13:30", "20:00"),  # Monday after
        ("2026-10-30", "13:30", "20:00"),  # Friday before they go back
        ("2026-11-02", "14:30", "21:00"),  # Monday after
        ("2026-11-27", "14:30", "18:00"),  # half day in winter
        ("2025-07-03", "13:30", "17:00"),  # half day in summer
    ],
)
def test_wall_time_over_the_clock_changes(day: str, open_utc: str, close_utc: str) -> None:
    found = session(day)
    assert found is not None
    assert found.open.utcoffset() == timedelta(0)
    assert (f"{found.open:%H:%M}", f"{found.close:%H:%M}") == (open_utc, close_utc)


def test_a_year_has_its_sessions() -> None:
    # 261 weekdays, less ten holidays and 9 January
    found = calendar(date(2025, 1, 1), date(2025, 12, 31))
    assert len(found.sessions) == 250
    assert [s.day for s in found.sessions if s.half_day] == [
        date(2025, 7, 3),
        date(2025, 11, 28),
        date(2025, 12, 24),
    ]
    assert (found.first, found.last) == (date(2025, 1, 1), date(2025, 12, 31))


def test_a_day_closed_by_an_operator() -> None:
    day = date(2025, 3, 3)
    assert calendar(day, day, closed={day: "power failure"}).sessions == ()


def test_the_recorded_sessions() -> None:
    found = calendar(date(2020, 12, 15), date(2020, 12, 18))
    assert [s.open for s in found.sessions] == [
        datetime(2020, 12, day, 14, 30, tzinfo=UTC) for day in (15, 16, 17, 18)
    ]
    at_close = datetime(2020, 12, 18, 21, 0, tzinfo=UTC)
    assert found.kind_at(at_close - timedelta(microseconds=1)) is SessionKind.REGULAR
    assert found.kind_at(at_close) is SessionKind.POST


def test_early_hours_of_the_configuration_stay_in_order() -> None:
    day = date(2025, 7, 3)
    hours = Hours(pre_market_start=time(9), regular_end=time(12), after_hours_end=time(12))
    [found] = build_calendar(day, day, hours).sessions
    assert found.close == found.post_close == datetime(2025, 7, 3, 16, 0, tzinfo=UTC)


def test_the_package_is_loaded_by_the_first_call_only() -> None:
    code = "import sys, tradesaga.adapters.calendar; sys.exit('holidays' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_day_of_31_years_is_as_the_published_rules_say() -> None:
    found = calendar(date(2000, 1, 1), CHECKED_UNTIL)
    zone = ZoneInfo("America/New_York")
    wrong, early = [], 0
    for number in range((found.last - found.first).days + 1):
        day = found.first + timedelta(days=number)
        ours = found.session_on(day)
        expected = None
        if nyse_rules.is_open(day):
            half = nyse_rules.closes_early(day)
            early += half
            expected = ("04:00", "09:30", "13:00", "17:00") if half else _FULL_DAY
        walls = None
        if ours is not None:
            moments = (ours.pre_open, ours.open, ours.close, ours.post_close)
            walls = tuple(f"{at.astimezone(zone):%H:%M}" for at in moments)
        if walls != expected:
            wrong.append((day, walls, expected))
    assert not wrong
    assert (len(found.sessions), early) == (7794, 69)


_FULL_DAY = ("04:00", "09:30", "16:00", "20:00")


def test_the_horizon_is_the_last_day_that_was_compared_with_the_rules() -> None:
    now = datetime(2030, 12, 1, 12, tzinfo=UTC)
    assert calendar(date(2030, 1, 1), date(2031, 6, 1)).days_left(now) == 30
    assert calendar(date(2030, 1, 1), date(2030, 12, 11)).days_left(now) == 10


def test_an_early_close_by_an_operator() -> None:
    day = date(2026, 12, 23)
    early = {day: Override(reason="storm", close=time(12))}
    [found] = build_calendar(day, day, Hours(), overrides=early).sessions
    assert (found.half_day, found.reason) == (True, "storm")
    assert found.close == datetime(2026, 12, 23, 17, 0, tzinfo=UTC)
    assert found.post_close == datetime(2026, 12, 23, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "America/Santiago"])
def test_a_market_that_never_closes(zone: str) -> None:
    found = build_calendar(
        date(2026, 1, 1), date(2026, 12, 31), Hours(exchange=ALWAYS_OPEN, timezone=zone)
    )
    assert len(found.sessions) == 365
    for before, after in pairwise(found.sessions):
        assert before.close == after.open, "there is no pause"
        assert not found.opens_at(after.open)
    midnight = found.sessions[5].open
    assert found.kind_at(midnight - timedelta(microseconds=1)) is SessionKind.REGULAR
    assert found.kind_at(midnight) is SessionKind.REGULAR
    assert found.closes_at(midnight) is None
    assert found.days_left(midnight) is None
    assert found.closes_at(found.sessions[-1].open) == found.sessions[-1].close


def test_an_exchange_of_another_country() -> None:
    hours = Hours(
        exchange="XLON", timezone="Europe/London", pre_market_start=time(7),
        regular_start=time(8), regular_end=time(16, 30), after_hours_end=time(17, 15),
        half_day_close=time(12, 30), half_day_post_close=time(13),
    )  # fmt: skip
    found = build_calendar(date(2026, 1, 1), date(2026, 12, 31), hours)
    assert found.session_on(date(2026, 12, 28)) is None, "Boxing Day, a Saturday, is kept"
    eve = found.session_on(date(2026, 12, 24))
    assert eve is not None
    assert eve.close == datetime(2026, 12, 24, 12, 30, tzinfo=UTC)
    summer = found.session_on(date(2026, 7, 3))
    assert summer is not None
    assert summer.open == datetime(2026, 7, 3, 7, 0, tzinfo=UTC)


def test_another_weekend_and_no_holidays() -> None:
    hours = Hours(exchange=NO_HOLIDAYS, weekend={4, 5}, timezone="Asia/Riyadh")
    found = build_calendar(date(2026, 12, 20), date(2026, 12, 26), hours)
    assert [s.day.day for s in found.sessions] == [20, 21, 22, 23, 24]


def test_an_exchange_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="ZZZZ"):
        build_calendar(date(2026, 1, 1), date(2026, 1, 2), Hours(exchange="ZZZZ"))
