"""What must always hold, watched while the agent works: asked now and then, told when it breaks.

The heartbeat only counts; a loop of its own does the asking, so that no cycle ever waits for it.
A run is due after `HEARTBEATS_PER_RUN` heartbeats, at most one in `REAL_SECONDS_BETWEEN`, and gets
`TIME_MAX`: a check that needs longer is skipped and says so, and so is a run when the one before
still goes on. The database alone is asked here; the heartbeat's own `sync_positions` compares with
the venue, and `tradesaga verify` does all of it.

A break that was not there the last time, or that has grown, is an error in the log, an `alert` in
the journal, and for the money invariants (I1, I4, I5, I6, I7, I12) it puts the agent in its error
state: books that do not add up are no ground to trade on. It stays there until a person starts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from structlog import get_logger

from tradesaga.domain.agent import Fail
from tradesaga.domain.errors import Transient
from tradesaga.domain.invariants import is_money
from tradesaga.domain.limit_change import order_rates
from tradesaga.domain.market import Calendar
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.operations import InvariantReport
from tradesaga.ports.records import Circumstances, Invariant, LogMark, Records

log = get_logger()
HEARTBEATS_PER_RUN: Final = 10
REAL_SECONDS_BETWEEN: Final = 10.0
"""However fast a replay's heartbeats come."""
TIME_MAX: Final = timedelta(seconds=3)
REAL_SECONDS_MAX: Final = 10.0
"""For a whole run, when the database does not even end what it was told to end."""
SHOWN_MAX: Final = 3
"""Sampled rows that an alert carries."""


@dataclass(slots=True, kw_only=True)
class InvariantWatch:
    """Asks, remembers the last answer, raises the alarm."""

    records: Records
    scribe: Scribe
    state: AgentState
    clock: Clock
    metrics: Metrics
    settings: EngineSettings
    calendar: Calendar
    patience: timedelta
    """How long a saga may outlive its deadline: the wait for the verdict of a cancel."""
    limits: LimitBook | None = None
    last: InvariantReport = field(default_factory=InvariantReport)
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _beats: int = 0
    _running: bool = False
    _skipped: int = 0
    _mark: LogMark | None = None
    _known: Mapping[str, int] = field(default_factory=dict)
    _first: tuple[datetime, float] | None = None
    _latest: tuple[datetime, float] | None = None
    _ran_at: float | None = None

    def beat(self) -> str:
        """Count a heartbeat; says so when the run that is due must be skipped."""
        self._beats += 1
        if self._first is None:
            self._first = self._latest = self.clock.now(), self.clock.monotonic()
        if self._beats % HEARTBEATS_PER_RUN:
            return ""
        if self._running:
            self._skipped += 1
            return "invariants not checked: the check before still runs"
        if self._ran_at is not None and self._since(self._ran_at) < REAL_SECONDS_BETWEEN:
            self._skipped += 1
            return ""  # a fast replay: it is in the report's count
        self._due.set()
        return ""

    async def run(self) -> None:
        """Check whenever it is due, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self.run_once()

    async def run_once(self) -> InvariantReport:
        """One check; a database that gives no answer makes it a skipped one. Raises Fenced."""
        self._running, self._ran_at = True, self.clock.monotonic()
        try:
            async with asyncio.timeout(REAL_SECONDS_MAX):
                found, self._mark = await self.records.recheck(
                    self.settings.agent_id, self._given(), mark=self._mark, time_max=TIME_MAX
                )
        except (Transient, TimeoutError) as error:
            self._skipped += 1
            log.warning("invariants not checked", error=str(error) or "it took too long")
            return self.last
        finally:
            self._running = False
        self.last = InvariantReport(
            checked_at=self.clock.now(), runs_skipped=self._skipped, invariants=found
        )
        self.metrics.invariants_broken(len(self.last.broken))
        try:
            await self._tell(found)
        except Transient as error:  # what is not remembered is told again by the next run
            log.warning("the alarm could not be written", error=str(error))
        return self.last

    def _given(self) -> Circumstances:
        limits = self.settings.limits[self.state.agent.mode]
        changes = () if self.limits is None else self.limits.changes
        per_minute, per_day = order_rates(limits, changes)
        hours = self.calendar.sessions if self.settings.market_hours_only else ()
        return Circumstances(
            now=self.clock.now(),
            pace=self._pace(),
            patience=self.patience,
            orders_per_minute=per_minute,
            orders_per_day=per_day,
            sessions=tuple((session.open, session.close) for session in hours),
        )

    def _pace(self) -> float:
        """How fast the clock goes, as seen since the first heartbeat and since the last run."""
        here = self.clock.now(), self.clock.monotonic()
        paces = [_speed(there, here) for there in (self._first, self._latest) if there is not None]
        self._latest = here
        return max(1.0, *paces) if paces else 1.0

    async def _tell(self, found: Sequence[Invariant]) -> None:
        """Raise the alarm for what is new; remember what is known."""
        known = self._known
        worse = [one for one in found if one.violations > known.get(one.name, 0)]
        if worse:
            await self._alarm(worse)
        # What was skipped this time is as it was.
        kept = {one.name: known.get(one.name, 0) for one in found if one.skipped}
        self._known = {one.name: max(one.violations, kept.get(one.name, 0)) for one in found}

    async def _alarm(self, worse: Sequence[Invariant]) -> None:
        for one in worse:
            self.metrics.error_occurred(ErrorType.INVARIANT_BROKEN)
            log.error(
                "invariant broken", invariant=one.name, violations=one.violations,
                said=one.description, remedy=one.remedy, sample=str(one.sample[:SHOWN_MAX]),
            )  # fmt: skip
        await self.scribe.fact((), [self._alert(one) for one in worse])
        if money := [one.name for one in worse if is_money(one.name)]:
            why = f"broken: {', '.join(money)}"
            await self.state.order(Fail(error=why), actor="engine", kind="agent.failed", reason=why)

    def _alert(self, one: Invariant) -> Entry:
        body = {
            "alert": "invariant broken",
            "invariant": one.name,
            "description": one.description,
            "violations": one.violations,
            "sample": [
                {name: None if value is None else str(value) for name, value in row.items()}
                for row in one.sample[:SHOWN_MAX]
            ],
            "remedy": one.remedy,
        }
        return Entry(kind="alert", subject=str(self.settings.agent_id), actor="engine", body=body)

    def _since(self, moment: float) -> float:
        return self.clock.monotonic() - moment


def _speed(then: tuple[datetime, float], now: tuple[datetime, float]) -> float:
    """Seconds of the clock in a real one between two looks at both."""
    return (now[0] - then[0]).total_seconds() / max(now[1] - then[1], 1e-3)
