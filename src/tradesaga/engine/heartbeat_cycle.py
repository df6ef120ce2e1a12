"""The heartbeat cycle: are the neighbours well, do the books agree, do the invariants hold.

check_service_health   poll the three services; does the second source agree on the session;
                       do the clocks agree, are the quotes fresh; is the engine parked, and old
sync_positions         orders, fills and positions against the venue's (`reconciliation`);
                       orders that were proven absent are looked for
update_status          bus, database and lease; now and then the invariants are due
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tradesaga.domain.cycle import Cycle, CycleType, TriggeredBy
from tradesaga.domain.errors import Transient
from tradesaga.engine.clock_watch import ClockWatch
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.cycle_work import CycleWork, Plan
from tradesaga.engine.engine_watch import EngineWatch
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.invariant_watch import InvariantWatch
from tradesaga.engine.ladder_watch import LadderWatch
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.quote_watch import QuoteWatch
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.vital_signs import VitalSigns
from tradesaga.engine.watch_list import WatchList
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import Metrics
from tradesaga.ports.services import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatCycle:
    """Makes heartbeat cycles; the three steps are its methods of the same names."""

    clock: Clock
    runner: CycleRunner
    board: HealthBoard
    books: Reconciliation
    metrics: Metrics
    watch: InvariantWatch
    absent: WatchList
    market: MarketGate
    causes: LadderWatch
    vitals: VitalSigns
    clocks: ClockWatch
    quotes: QuoteWatch
    time_max: timedelta
    engine: EngineWatch

    async def run(self, triggered_by: TriggeredBy, scheduled_at: datetime) -> Cycle:
        """One heartbeat. Raises Fenced, Unavailable."""
        cycle = self.runner.new(CycleType.HEARTBEAT, triggered_by, scheduled_at)
        work = CycleWork(cycle=cycle)
        plan = Plan(
            work=work,
            steps={
                "check_service_health": lambda: self.check_service_health(work),
                "sync_positions": lambda: self.sync_positions(work),
                "update_status": lambda: self.update_status(work),
            },
            commit_after=frozenset(),
        )
        return await self.runner.run(plan, time_max=self.time_max)

    async def check_service_health(self, work: CycleWork) -> None:
        """Poll; what is not healthy gets a line in the log, what is down a place on the ladder."""
        found = await self.board.poll()
        self.causes.services(found)
        for name, health in found.items():
            if health is not Health.HEALTHY:
                work.note("warning", f"{name} is {health}", self.clock.now())
        await self.market.ask(self.clock.now())
        now = self.clock.now()
        work.entries += self.market.alarms(now, self.metrics)
        self.causes.calendar(self.market.end_of_calendar(now), self.market.refusal_of_entries(now))
        await self.clocks.check()
        await self.quotes.check()
        await self.engine.check()

    async def sync_positions(self, work: CycleWork) -> None:
        """Compare; a venue that gives no answer is not a venue without orders and positions."""
        await self.absent.check()
        try:
            found = await self.books.run_once()
        except Transient as error:
            work.note("warning", f"not reconciled: {error}", self.clock.now())
            return
        if found.booked:
            work.note("warning", f"{found.booked} orders were booked anew", self.clock.now())
        for drift in found.drifts:
            work.note(
                "warning", f"position drift in {drift.symbol}", self.clock.now(),
                ours=str(drift.ours), venue=str(drift.venue),
            )  # fmt: skip

        if found.cash is not None:
            work.note("warning", f"cash drift: {found.cash.told()}", self.clock.now())

    async def update_status(self, work: CycleWork) -> None:
        """Count for the watch, which works by itself; look at bus, database and lease."""
        self.vitals.check()
        self.causes.throttles(self.clock.now())
        if why := self.watch.beat():
            work.note("warning", why, self.clock.now())
