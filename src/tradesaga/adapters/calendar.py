"""The exchange's calendar as a value: the sessions of the NYSE from the `holidays` package.

The package knows the rules and the closures of the past, not those that are yet to be announced:
`closed` adds what an operator knows. A half day closes at 13:00 and its post-market at 17:00,
whatever the configuration says. Weekday and date are those of the market's zone, the moments are
UTC. Importing this module is cheap; `holidays` is loaded by the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tradesaga.domain.market import Calendar, Session

if TYPE_CHECKING:
    from holidays import HolidayBase

HALF_DAY_CLOSE = time(13)
HALF_DAY_POST_CLOSE = time(17)
_SATURDAY = 5


def build_calendar(
    first: date,
    last: date,
    *,
    pre_market_start: time,
    regular_start: time,
    regular_end: time,
    after_hours_end: time,
    timezone: str,
    closed: Mapping[date, str] | None = None,
    hours_only: bool = True,
) -> Calendar:
    """The sessions from `first` to `last`, both included, in wall time of `timezone`.

    `closed` names further days without a session, each with its reason. `hours_only` is handed
    to the calendar: whether trading is bound to the regular session.
    """
    assert first <= last, (first, last)
    zone = ZoneInfo(timezone)
    holidays, half_days = _exchange(first, last)
    sessions = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() >= _SATURDAY or day in holidays or day in (closed or {}):
            continue
        half = day in half_days
        close = min(regular_end, HALF_DAY_CLOSE) if half else regular_end
        post_close = min(after_hours_end, HALF_DAY_POST_CLOSE) if half else after_hours_end
        if close <= regular_start:
            continue  # a market that would open after the early close stays closed
        sessions.append(
            Session(
                day=day,
                pre_open=_utc(day, pre_market_start, zone),
                open=_utc(day, regular_start, zone),
                close=_utc(day, close, zone),
                post_close=_utc(day, max(close, post_close), zone),
                half_day=half,
                reason=half_days[day] if half else "",
            )
        )
    return Calendar(sessions=tuple(sessions), first=first, last=last, hours_only=hours_only)


def _exchange(first: date, last: date) -> tuple[HolidayBase, HolidayBase]:
    """Full holidays and half days; one object with both categories would close the half days."""
    from holidays.constants import HALF_DAY, PUBLIC  # noqa: PLC0415 -- 170 ms: only when needed
    from holidays.financial.ny_stock_exchange import NYSE  # noqa: PLC0415 -- see above

    years = range(first.year, last.year + 1)
    public = NYSE(years=years, categories=PUBLIC)  # type: ignore[no-untyped-call]  # theirs
    return public, NYSE(years=years, categories=HALF_DAY)  # type: ignore[no-untyped-call]  # theirs


def _utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
