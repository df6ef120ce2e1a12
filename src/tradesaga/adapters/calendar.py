"""A market's calendar as a value: sessions from the rules of the `holidays` package, or 24/7.

The package knows the rules and the closures of the past, not those that are yet to be announced:
`overrides` add what an operator knows. A half day closes early whatever the configured hours say.
Weekday and date are those of the market's zone, the moments are UTC. Importing this module is
cheap; `holidays` is loaded by the first call.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tradesaga.domain.errors import Invalid
from tradesaga.domain.market import Calendar, Session

if TYPE_CHECKING:
    from holidays import HolidayBase

NYSE = "NYSE"
ALWAYS_OPEN = "24/7"
NO_HOLIDAYS = "none"
CHECKED_UNTIL = date(2030, 12, 31)
"""Up to here the sessions of the NYSE are compared with the exchange's rules by our tests."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What an operator knows of a date: closed all day, or closing early at `close`."""

    reason: str
    close: time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The hours of a market in wall time of `timezone`; `weekend` are weekdays, Monday is 0.

    `exchange` is a code that the `holidays` package knows, `NO_HOLIDAYS`, or `ALWAYS_OPEN`, which
    needs nothing of the rest but the zone.
    """

    timezone: str = "America/New_York"
    pre_market_start: time = time(4)
    regular_start: time = time(9, 30)
    regular_end: time = time(16)
    after_hours_end: time = time(20)
    half_day_close: time = time(13)
    half_day_post_close: time = time(17)
    exchange: str = NYSE
    weekend: Container[int] = frozenset({5, 6})


def build_calendar(
    first: date,
    last: date,
    hours: Hours,
    *,
    overrides: Mapping[date, Override] | None = None,
) -> Calendar:
    """The sessions from `first` to `last`, both included.

    Raises:
        Invalid: no calendar of that exchange is known.
    """
    assert first <= last, (first, last)
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    checked_until: date | None = last
    if hours.exchange == ALWAYS_OPEN:
        sessions = [_whole_day(day, ZoneInfo(hours.timezone)) for day in days]
        sessions = [s for s in sessions if s.day not in (overrides or {})]
        checked_until = None
    else:
        sessions = _exchange_sessions(days, hours, overrides or {})
        if hours.exchange == NYSE:
            checked_until = CHECKED_UNTIL
    return Calendar(
        sessions=tuple(sessions),
        first=first,
        last=last,
        zone=hours.timezone,
        checked_until=checked_until,
    )


def _exchange_sessions(
    days: Sequence[date], hours: Hours, overrides: Mapping[date, Override]
) -> list[Session]:
    holidays, half_days = _exchange(hours.exchange, range(days[0].year, days[-1].year + 1))
    sessions = []
    for day in days:
        if day.weekday() in hours.weekend or day in holidays:
            continue
        early: time | None = hours.half_day_close if day in half_days else None
        reason = str(half_days.get(day) or "") if early is not None else ""
        if (override := overrides.get(day)) is not None:
            if override.close is None:
                continue
            early, reason = override.close, override.reason
        session = _session(day, hours, early, reason)
        if session is not None:
            sessions.append(session)
    return sessions


def _session(day: date, hours: Hours, early: time | None, reason: str) -> Session | None:
    """None for a market that would open after its early close: it stays closed."""
    zone = ZoneInfo(hours.timezone)
    close, post_close = hours.regular_end, hours.after_hours_end
    if early is not None:
        close, post_close = min(close, early), min(post_close, hours.half_day_post_close)
    if close <= hours.regular_start:
        return None
    return Session(
        day=day,
        pre_open=_utc(day, hours.pre_market_start, zone),
        open=_utc(day, hours.regular_start, zone),
        close=_utc(day, close, zone),
        post_close=_utc(day, max(close, post_close), zone),
        half_day=early is not None,
        reason=reason,
    )


def _whole_day(day: date, zone: ZoneInfo) -> Session:
    """From midnight to midnight; where the clocks skip midnight, from the end of the gap."""
    begin, end = _utc(day, time(), zone), _utc(day + _DAY, time(), zone)
    return Session(day=day, pre_open=begin, open=begin, close=end, post_close=end, half_day=False)


def _exchange(
    code: str, years: range
) -> tuple[HolidayBase | dict[date, str], HolidayBase | dict[date, str]]:
    """Full holidays and half days; one object with both categories would close the half days."""
    if code == NO_HOLIDAYS:
        return {}, {}
    from holidays.constants import HALF_DAY, PUBLIC  # noqa: PLC0415 -- 170 ms: only when needed

    if code == NYSE:
        from holidays.financial.ny_stock_exchange import (  # noqa: PLC0415 -- see above
            NYSE as Rules,
        )

        public = Rules(years=years, categories=PUBLIC)  # type: ignore[no-untyped-call]  # theirs
        return public, Rules(years=years, categories=HALF_DAY)  # type: ignore[no-untyped-call]  # theirs
    from holidays import financial_holidays  # noqa: PLC0415 -- see above

    try:
        full = financial_holidays(code, years=years)
    except NotImplementedError as error:
        raise Invalid([f"no calendar of the exchange {code!r} is known"]) from error
    if HALF_DAY not in full.supported_categories:
        return full, {}
    return full, financial_holidays(code, years=years, categories=HALF_DAY)


def _utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
