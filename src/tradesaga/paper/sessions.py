"""The exchange's days: sessions of the New York Stock Exchange, half days and holidays included.

Days and times are New York's, whatever the host's zone; every moment given out is aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from holidays.financial.ny_stock_exchange import NYSE

from tradesaga.domain.market import Session, SessionKind
from tradesaga.paper.recordings import NEW_YORK

DAYS_WITHOUT_SESSION_MAX = 30
"""No exchange has been closed for longer in living memory; bounds every search."""
_SATURDAY = 5
# Two objects: asked for both categories together, the library makes half days full holidays.
_HOLIDAYS = NYSE(categories=("public",))  # type: ignore[no-untyped-call]  # no types
_HALF_DAYS = NYSE(categories=("half_day",))  # type: ignore[no-untyped-call]  # no types


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of session: at `at` the market goes from `before` to `after`."""

    at: datetime
    before: SessionKind
    after: SessionKind


@lru_cache(maxsize=1024)
def session_of(day: date) -> Session | None:
    """The session of a New York date; None on weekends and holidays."""
    if day.weekday() >= _SATURDAY or day in _HOLIDAYS:
        return None
    half = day in _HALF_DAYS

    def at(hour: int, minute: int = 0) -> datetime:
        local = datetime.combine(day, time(hour, minute), tzinfo=NEW_YORK)
        return local.astimezone(UTC)

    return Session(
        day=day,
        pre_open=at(4),
        open=at(9, 30),
        close=at(13) if half else at(16),
        post_close=at(17) if half else at(20),
        half_day=half,
        reason=str(_HALF_DAYS.get(day)) if half else "",
    )


def session_at(now: datetime) -> Session | None:
    """The session of the New York date that `now` falls on."""
    return session_of(day_of(now))


def kind_at(now: datetime) -> SessionKind:
    """Whether the market is in pre, regular or post trading, or closed."""
    session = session_at(now)
    return SessionKind.CLOSED if session is None else session.kind_at(now)


def day_of(now: datetime) -> date:
    """The New York date of a moment."""
    return now.astimezone(NEW_YORK).date()


def sessions_from(day: date) -> Iterator[Session]:
    """The sessions on and after `day`, without end."""
    gap = 0
    while gap <= DAYS_WITHOUT_SESSION_MAX:
        session = session_of(day)
        gap = 0 if session is not None else gap + 1
        if session is not None:
            yield session
        day += timedelta(days=1)


def transitions(after: datetime, until: datetime) -> list[Transition]:
    """The changes of session later than `after` and not later than `until`, ascending."""
    found: list[Transition] = []
    for session in sessions_from(day_of(after)):
        if session.pre_open > until:
            break
        steps = (
            (session.pre_open, SessionKind.CLOSED, SessionKind.PRE),
            (session.open, SessionKind.PRE, SessionKind.REGULAR),
            (session.close, SessionKind.REGULAR, SessionKind.POST),
            (session.post_close, SessionKind.POST, SessionKind.CLOSED),
        )
        found.extend(
            Transition(at=at, before=was, after=then)
            for at, was, then in steps
            if after < at <= until
        )
    return found


def next_transition(now: datetime) -> Transition:
    """The first change of session later than `now`."""
    for session in sessions_from(day_of(now)):
        for change in transitions(now, session.post_close):
            return change
    raise AssertionError("sessions_from has no end")


def holidays_between(first: date, last: date) -> list[tuple[date, str]]:
    """The weekdays on which the exchange is closed all day, with their names."""
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [(day, str(_HOLIDAYS.get(day))) for day in days if day in _HOLIDAYS]
