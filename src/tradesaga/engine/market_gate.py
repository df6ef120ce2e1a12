"""Whether the market is open for us: our own calendar, which other sources may only tighten.

The market-data service is the second source: its status is polled, its events are heard. For
entries both must say that the market is open; when they differ, or when the service has not been
heard of for `STATUS_AGE_MAX`, the market is closed for entries and an alarm is raised. Exits need
our calendar alone, and that no event has closed the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from structlog import get_logger

from tradesaga.domain.errors import Transient
from tradesaga.domain.events import SessionChanged
from tradesaga.domain.market import Calendar, MarketStatus, Session, SessionKind
from tradesaga.ports.journal import Entry
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.services import MarketData

log = get_logger()
STATUS_AGE_MAX = timedelta(minutes=5)
"""How long the service's last word counts; it is asked with each heartbeat."""
HORIZON_DAYS_MIN = 90
RELEASE_AFTER_OPEN = timedelta(seconds=30)
"""What was held for the open is released so long after it: the first quotes have settled."""
CRYPTO = "CRYPTO"


class MarketGate:
    """The calendar, and what the market-data service last said of the session."""

    def __init__(
        self,
        calendar: Calendar,
        *,
        hours_only: bool,
        second_source: MarketData | None = None,
        market: str = "",
    ) -> None:
        """`market` is ours by its name in events; those of other markets are left aside."""
        self.calendar = calendar
        self.hours_only = hours_only
        self._second_source = second_source
        self._market = market
        self._closed_since: datetime | None = None
        self._last_change: tuple[datetime, SessionKind] | None = None
        self._status: MarketStatus | None = None
        self._alarms: frozenset[str] = frozenset()

    def heard(self, event: SessionChanged) -> bool:
        """The service tells a change of session; whether it is news of our market."""
        if self._market and (event.market == CRYPTO) is not (self._market == CRYPTO):
            return False
        if self._last_change is not None and event.effective_at < self._last_change[0]:
            is_news = False  # an older one that comes late
        else:
            is_news = self._last_change != (event.effective_at, event.session)
            self._last_change = (event.effective_at, event.session)
        if event.session is SessionKind.REGULAR:
            self._closed_since = None
        elif self._closed_since is None or event.effective_at > self._closed_since:
            self._closed_since = event.effective_at
        if self._status is not None and event.effective_at >= self._status.as_of:
            self._status = MarketStatus(
                is_open=event.session is SessionKind.REGULAR, as_of=event.effective_at
            )
        return is_news

    async def ask(self, now: datetime) -> None:
        """Ask the second source; no answer leaves its last word to age."""
        if self._second_source is None:
            return
        try:
            said = await self._second_source.market_status()
        except Transient as error:
            log.warning("market status unknown", error=str(error))
            return
        if self._status is None or said.as_of >= self._status.as_of:
            self._status = said if said.as_of <= now else said.as_said_at(now)

    def closed_by_event(self, now: datetime) -> bool:
        """Whether the service closed the session that our calendar takes for open.

        A close from before our session's open is about an earlier one and is over.
        """
        if self._closed_since is None:
            return False
        session = self.calendar.regular_at(now)
        return session is not None and self._closed_since >= session.open

    def refusal_of_entries(self, now: datetime) -> str:
        """Why the second source keeps us from entering; empty when it agrees or is not asked.

        What our own calendar closes is not repeated here.
        """
        if self._second_source is None or not self.hours_only:
            return ""
        ours = self.calendar.kind_at(now) is SessionKind.REGULAR
        if not ours:
            return ""
        if self._status is None or now - self._status.as_of > STATUS_AGE_MAX:
            return "the market-data service has not said whether the market is open"
        if not self._status.is_open_at(now):
            return "the market-data service says that the market is closed, our calendar not"
        return ""

    def end_of_calendar(self, now: datetime) -> str:
        """Why our calendar says nothing of `now`; empty when it does."""
        left = self.calendar.days_left(now) if self.hours_only else None
        if left is None or left >= 0:
            return ""
        return f"the calendar was checked until {-left} days ago: install a newer release"

    def alarms(self, now: datetime, metrics: Metrics) -> Sequence[Entry]:
        """Alerts for what was not so the last time; each counts and is logged once."""
        found = {ErrorType.SESSION_SOURCES_DISAGREE: self._disagreement(now)}
        left = self.calendar.days_left(now)
        if left is not None and left < HORIZON_DAYS_MIN:
            found[ErrorType.CALENDAR_ENDS_SOON] = (
                f"the calendar was checked for {left} more days: install a newer release"
            )
        standing = {error: why for error, why in found.items() if why}
        new = {
            error.replace("_", " "): why
            for error, why in standing.items()
            if error not in self._alarms
        }
        for error in standing.keys() - self._alarms:
            metrics.error_occurred(error)
        self._alarms = frozenset(standing)
        for name, why in new.items():
            log.error(name, why=why)
        return [
            Entry(kind="alert", subject="market", actor="engine", body={"alert": name, "why": why})
            for name, why in new.items()
        ]

    def is_open(self, now: datetime) -> bool:
        """Whether cycles that trade may run at `now`."""
        if not self.hours_only:
            return True
        regular = self.calendar.kind_at(now) is SessionKind.REGULAR
        return regular and not self.closed_by_event(now)

    def opens_at(self, now: datetime) -> bool:
        """Whether `now` is the very instant of a session's opening."""
        return self.hours_only and self.calendar.opens_at(now)

    def next_open(self, now: datetime) -> datetime | None:
        """`now` when open, else the next regular open; None beyond the calendar."""
        if not self.hours_only or self.calendar.kind_at(now) is SessionKind.REGULAR:
            return now
        return self.calendar.next_open(now)

    def session_of_today(self, now: datetime) -> Session | None:
        """The session of the market's date at `now`; None on a day without one."""
        return self.calendar.session_on(self.calendar.day_of(now))

    def release_at(self, now: datetime) -> datetime | None:
        """When orders that were made before today's open may be sent; None: not today."""
        session = self.session_of_today(now)
        if session is None or now >= session.close:
            return None
        return max(now, session.open + RELEASE_AFTER_OPEN)

    def _disagreement(self, now: datetime) -> str:
        if refusal := self.refusal_of_entries(now):
            return refusal
        status = self._status
        if status is None or not self.hours_only or now - status.as_of > STATUS_AGE_MAX:
            return ""
        if status.is_open_at(now) and self.calendar.kind_at(now) is not SessionKind.REGULAR:
            day: date = self.calendar.day_of(now)
            return f"the market-data service says that the market is open, our calendar not ({day})"
        return ""
