"""What the market shows: quotes, bars, sessions of a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum


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
class Calendar:
    """The sessions of a range of dates, as a value; dates without a session are not in it."""

    sessions: tuple[Session, ...]
    first: date
    last: date
    hours_only: bool = True

    def kind_at(self, now: datetime) -> SessionKind:
        """The session part at `now`; CLOSED outside the known range."""
        for session in self._around(now):
            kind = session.kind_at(now)
            if kind is not SessionKind.CLOSED:
                return kind
        return SessionKind.CLOSED

    def regular_at(self, now: datetime) -> Session | None:
        """The session whose regular part contains `now`, if any."""
        for session in self._around(now):
            if session.open <= now < session.close:
                return session
        return None

    def next_open(self, now: datetime) -> datetime | None:
        """The first regular open after `now`; None beyond the known range."""
        return next((s.open for s in self.sessions if s.open > now), None)

    def _around(self, now: datetime) -> tuple[Session, ...]:
        day = timedelta(days=1)
        return tuple(s for s in self.sessions if s.pre_open - day <= now <= s.post_close + day)
