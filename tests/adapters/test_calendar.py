"""The exchange calendar against days whose hours are on record."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest

from tradesaga.adapters.calendar import build_calendar
from tradesaga.domain.market import Calendar, Session, SessionKind


def calendar(first: date, last: date, *, closed: dict[date, str] | None = None) -> Calendar:
    return build_calendar(
        first,
        last,
        pre_market_start=time(4),
        regular_start=time(9, 30),
        regular_end=time(16),
        after_hours_end=time(20),
        timezone="America/New_York",
        closed=closed,
    )


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
    [found] = build_calendar(
        day,
        day,
        pre_market_start=time(9),
        regular_start=time(9, 30),
        regular_end=time(12),
        after_hours_end=time(12),
        timezone="America/New_York",
    ).sessions
    assert found.close == found.post_close == datetime(2025, 7, 3, 16, 0, tzinfo=UTC)


def test_the_package_is_loaded_by_the_first_call_only() -> None:
    code = "import sys, tradesaga.adapters.calendar; sys.exit('holidays' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
