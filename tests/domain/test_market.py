"""Sessions, quotes and the calendar, at the first and last instant of each part."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.market import Calendar, Quote, Session, SessionKind

K = SessionKind
TICK = timedelta(microseconds=1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}Z")


MONDAY = Session(
    day=date(2026, 11, 23),
    pre_open=moment("23T09:00"),
    open=moment("23T14:30"),
    close=moment("23T21:00"),
    post_close=moment("24T01:00"),
    half_day=False,
)
FRIDAY = Session(  # the day after Thanksgiving: closes at 13:00 in New York, post-market to 17:00
    day=date(2026, 11, 27),
    pre_open=moment("27T09:00"),
    open=moment("27T14:30"),
    close=moment("27T18:00"),
    post_close=moment("27T22:00"),
    half_day=True,
)
CALENDAR = Calendar(sessions=(MONDAY, FRIDAY), first=MONDAY.day, last=FRIDAY.day)


@pytest.mark.parametrize(
    ("start", "before", "kind"),
    [
        (MONDAY.pre_open, K.CLOSED, K.PRE),
        (MONDAY.open, K.PRE, K.REGULAR),
        (MONDAY.close, K.REGULAR, K.POST),
        (MONDAY.post_close, K.POST, K.CLOSED),
        (FRIDAY.open, K.PRE, K.REGULAR),
        (FRIDAY.close, K.REGULAR, K.POST),
        (FRIDAY.post_close, K.POST, K.CLOSED),
    ],
)
def test_each_part_begins_with_its_first_instant(
    start: datetime, before: SessionKind, kind: SessionKind
) -> None:
    assert CALENDAR.kind_at(start - TICK) is before
    assert CALENDAR.kind_at(start) is kind


def test_days_without_a_session_are_closed() -> None:
    assert CALENDAR.kind_at(moment("26T16:00")) is K.CLOSED, "Thanksgiving"
    assert CALENDAR.kind_at(datetime(2031, 1, 2, 16, tzinfo=UTC)) is K.CLOSED, "beyond the range"


def test_the_regular_session_and_the_next_open() -> None:
    assert CALENDAR.regular_at(MONDAY.open) == MONDAY
    assert CALENDAR.regular_at(MONDAY.close) is None
    assert CALENDAR.next_open(MONDAY.open - TICK) == MONDAY.open
    assert CALENDAR.next_open(MONDAY.open) == FRIDAY.open
    assert CALENDAR.next_open(FRIDAY.open) is None


@given(st.timedeltas(timedelta(days=-2), timedelta(days=7)))
def test_regular_is_one_and_the_same_however_it_is_asked(after: timedelta) -> None:
    now = MONDAY.open + after
    assert (CALENDAR.kind_at(now) is K.REGULAR) == (CALENDAR.regular_at(now) is not None)
    upcoming = CALENDAR.next_open(now)
    assert upcoming is None or upcoming > now


QUOTE = Quote(
    symbol="ACME", bid=Decimal("9.99"), ask=Decimal("10.01"), last=Decimal(9), at=MONDAY.open
)


def test_the_middle_needs_both_sides_else_it_is_the_last_price() -> None:
    assert QUOTE.middle == Decimal(10)
    assert replace(QUOTE, ask=None).middle == Decimal(9)
    assert replace(QUOTE, bid=None, last=None).middle is None
