"""What the market shows: quotes, bars, sessions of a date."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

_DAYS_LOOKED_AHEAD = 8
"""A market that trades on without a pause for so many days is taken to trade on."""


class SessionKind(StrEnum):
    """Which part of the trading day it is; the values are those of the market-data service."""

    PRE = "pre"
    REGULAR = "regular"
    POST = "post"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask; a side that nobody offers is None. `at` is when it was known, UTC."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    at: datetime

    @property
    def middle(self) -> Decimal | None:
        """The middle of bid and ask, else the last price."""
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; `start` is the START of its minute, it is known only a minute later."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The trading day of one date; all four moments are aware UTC, ascending."""

    day: date
    pre_open: datetime
    open: datetime
    close: datetime
    post_close: datetime
    half_day: bool
    reason: str = ""

    def kind_at(self, now: datetime) -> SessionKind:
        """Which part of this day `now` falls into; each part begins with its first instant."""
        if self.pre_open <= now < self.open:
            return SessionKind.PRE
        if self.open <= now < self.close:
            return SessionKind.REGULAR
        if self.close <= now < self.post_close:
            return SessionKind.POST
        return SessionKind.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStatus:
    """What another source says of the market at `as_of`, and when it says that this changes."""

    is_open: bool
    as_of: datetime
    next_open: datetime | None = None
    next_close: datetime | None = None

    def is_open_at(self, now: datetime) -> bool:
        """What it says of a later moment: as at `as_of`, but for the changes it foretold."""
        changes = [(self.next_open, True), (self.next_close, False)]
        past = [(at, opens) for at, opens in changes if at is not None and self.as_of < at <= now]
        return max(past)[1] if past else self.is_open

    def as_said_at(self, now: datetime) -> MarketStatus:
        """The same word, taken as said at `now`: the other's clock is not ours."""
        return replace(self, as_of=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The sessions of a range of dates, as a value; dates without a session are not in it.

    Sessions ascend and do not overlap; one may begin where the one before ends, as they do in a
    market that never closes. `zone` is the market's: whose dates these are. `checked_until` is the
    last date that the release has compared with the exchange's rules, None when nothing is to be.
    """

    sessions: tuple[Session, ...]
    first: date
    last: date
    zone: str = "America/New_York"
    checked_until: date | None = None

    def kind_at(self, now: datetime) -> SessionKind:
        """The session part at `now`; CLOSED outside the known range."""
        session = self._around(now)
        return SessionKind.CLOSED if session is None else session.kind_at(now)

    def regular_at(self, now: datetime) -> Session | None:
        """The session whose regular part contains `now`, if any."""
        session = self._around(now)
        return session if session is not None and session.open <= now < session.close else None

    def session_on(self, day: date) -> Session | None:
        """The session of a date of the market's zone, if it has one."""
        index = bisect_left(self.sessions, day, key=lambda session: session.day)
        found = self.sessions[index] if index < len(self.sessions) else None
        return found if found is not None and found.day == day else None

    def day_of(self, now: datetime) -> date:
        """The market's date at `now`."""
        return now.astimezone(ZoneInfo(self.zone)).date()

    def next_open(self, now: datetime) -> datetime | None:
        """The first regular open after `now`; None beyond the known range."""
        index = bisect_right(self.sessions, now, key=lambda session: session.open)
        return self.sessions[index].open if index < len(self.sessions) else None

    def session_from(self, now: datetime) -> Session | None:
        """The first session whose regular part begins at `now` or later."""
        index = bisect_left(self.sessions, now, key=lambda session: session.open)
        return self.sessions[index] if index < len(self.sessions) else None

    def closes_at(self, now: datetime) -> datetime | None:
        """When the regular trading of `now` ends; None when there is none, or no end is known."""
        index = self._index(now)
        if index < 0 or self.regular_at(now) is None:
            return None
        days = self.sessions[index : index + _DAYS_LOOKED_AHEAD]
        for session, following in pairwise(days):
            if following.open != session.close:
                return session.close
        return days[0].close if len(days) == 1 else None

    def opens_at(self, now: datetime) -> bool:
        """Whether regular trading begins at this very instant, after a pause."""
        session = self.regular_at(now)
        if session is None or session.open != now:
            return False
        index = self._index(now)
        return index == 0 or self.sessions[index - 1].close != now

    def days_left(self, now: datetime) -> int | None:
        """For how many days from `now` the calendar can be trusted; None for ever."""
        if self.checked_until is None:
            return None
        return (min(self.checked_until, self.last) - self.day_of(now)).days

    def _index(self, now: datetime) -> int:
        return bisect_right(self.sessions, now, key=lambda session: session.pre_open) - 1

    def _around(self, now: datetime) -> Session | None:
        index = self._index(now)
        return self.sessions[index] if index >= 0 else None
