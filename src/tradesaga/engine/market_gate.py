"""Whether the market is open for us: our own calendar, which events may only tighten."""

from __future__ import annotations

from datetime import datetime

from tradesaga.domain.events import SessionChanged
from tradesaga.domain.market import Calendar, SessionKind


class MarketGate:
    """The calendar, and what the market-data service last said of the session."""

    def __init__(self, calendar: Calendar, *, hours_only: bool) -> None:
        self.calendar = calendar
        self.hours_only = hours_only
        self._closed_since: datetime | None = None

    def heard(self, event: SessionChanged) -> None:
        """The service tells a change of session."""
        if event.session is SessionKind.REGULAR:
            self._closed_since = None
        elif self._closed_since is None or event.effective_at > self._closed_since:
            self._closed_since = event.effective_at

    def closed_by_event(self, now: datetime) -> bool:
        """Whether the service closed the session that our calendar takes for open.

        A close from before our session's open is about an earlier one and is over.
        """
        if self._closed_since is None:
            return False
        session = self.calendar.regular_at(now)
        return session is not None and self._closed_since >= session.open

    def is_open(self, now: datetime) -> bool:
        """Whether cycles that trade may run at `now`."""
        if not self.hours_only:
            return True
        regular = self.calendar.kind_at(now) is SessionKind.REGULAR
        return regular and not self.closed_by_event(now)

    def opens_at(self, now: datetime) -> bool:
        """Whether `now` is the very instant of a session's opening."""
        session = self.calendar.regular_at(now) if self.hours_only else None
        return session is not None and session.open == now

    def next_open(self, now: datetime) -> datetime | None:
        """`now` when open, else the next regular open; None beyond the calendar."""
        if not self.hours_only or self.calendar.kind_at(now) is SessionKind.REGULAR:
            return now
        return self.calendar.next_open(now)
