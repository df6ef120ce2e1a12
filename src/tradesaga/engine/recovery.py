"""What a new leader finds open, and what it does about it: the normal path, called again.

Unfinished cycles end as cancelled: their data has aged. Every open saga runs on from its committed
state; an intent that the old process may have sent is looked up first. Sagas that need a person
wait for that person, with their symbol locked. Orders that were proven absent are looked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from structlog import get_logger

from tradesaga.domain.checkpoint import Occasion
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import Recovered, TradeState
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.breaker import Breaker
from tradesaga.engine.checkpoints import Checkpoints
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.decision_budget import DecisionBudget
from tradesaga.engine.former_books import FormerBooks
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.loss_watch import LossWatch
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.watch_list import WatchList
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import Records

log = get_logger()


RESUMED_AT_ONCE_MAX = 1000
"""Sagas that are told of the takeover at a time: enough to fill the journal's batches."""


async def resume(trades: Sequence[OpenTrade], desk: TradeDesk, crew: SagaCrew) -> None:
    """Tell open sagas that a new process has them, and run them on."""
    for start in range(0, len(trades), RESUMED_AT_ONCE_MAX):
        part = trades[start : start + RESUMED_AT_ONCE_MAX]
        async with asyncio.TaskGroup() as group:
            for trade in part:
                if trade.state.saga.status is SagaStatus.MANUAL_REQUIRED:
                    trade.ended.set()
                else:
                    group.create_task(desk.book(trade, Recovered(), actor="recovery"))
        for trade in part:
            crew.take(trade)


REPORTED_MAX = 100
"""Sagas told of one by one in a recovery's report; of the rest there is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was open: cycles that were ended, and trades as they were found."""

    cycles: tuple[CycleId, ...] = ()
    trades: tuple[tuple[OpenTrade, TradeState], ...] = ()

    @property
    def waiting_for_person(self) -> int:
        """How many of the trades no machine can end."""
        return sum(1 for _, t in self.trades if t.saga.status is SagaStatus.MANUAL_REQUIRED)

    def report(self) -> dict[str, object]:
        """What was found, and how it stands now."""
        ended = sum(1 for trade, _ in self.trades if trade.state.saga.status in ENDS)
        return {
            "cyclesCancelled": [str(cycle_id) for cycle_id in self.cycles],
            "sagasFound": len(self.trades),
            "sagasEnded": ended,
            "waitingForPerson": self.waiting_for_person,
            "sagas": [_told(trade, found) for trade, found in self.trades[:REPORTED_MAX]],
        }


def _told(trade: OpenTrade, found: TradeState) -> dict[str, str]:
    now = trade.state
    return {
        "sagaId": str(found.saga.id),
        "symbol": found.saga.symbol,
        "found": f"{found.saga.status}, order {found.order.status}",
        "now": f"{now.saga.status}, order {now.order.status}",
        "filled": f"{now.order.filled_quantity:f}/{now.order.quantity:f}",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Brings one agent back; done once, after the lease is taken and before the first cycle."""

    records: Records
    clock: Clock
    state: AgentState
    runner: CycleRunner
    desk: TradeDesk
    crew: SagaCrew
    checkpoints: Checkpoints
    limits: LimitBook
    agent_id: AgentId
    absent: WatchList
    ladder: LadderState
    former: FormerBooks
    losses: LossWatch
    budget: DecisionBudget
    settle_time_max: timedelta
    breaker: Breaker

    async def run(self) -> Found:
        """Load, end what cannot go on, run what can."""
        await self.state.load()
        await self.ladder.load()  # what is halted stays halted: before any saga runs on
        await self.former.check()
        await self.limits.load()
        await self.losses.load()
        await self.budget.load()
        await self.breaker.load()
        await self.desk.holdings.load(self.records, self.agent_id, self.clock.now())
        cycles = await self.records.unfinished_cycles(self.agent_id)
        for cycle in cycles:
            await self.runner.interrupt(cycle)
        trades = [self.desk.trades.add(s) for s in await self.records.open_trades(self.agent_id)]
        found = Found(
            cycles=tuple(cycle.id for cycle in cycles),
            trades=tuple((trade, trade.state) for trade in trades),
        )
        self.desk.recovered = True
        await resume(trades, self.desk, self.crew)
        await self.absent.load()
        log.info("recovered", cycles=len(cycles), sagas=len(trades))
        return found

    async def settle(self, found: Found) -> None:
        """Give what was open time to end before anything new begins; then write the report."""
        try:
            async with asyncio.timeout(self.settle_time_max.total_seconds()):
                for trade in self.desk.trades:
                    await trade.ended.wait()
        except TimeoutError:
            log.warning("sagas still open after a restart", number=len(self.desk.trades))
        await self.checkpoints.take(Occasion.RECOVERED, found.report())
