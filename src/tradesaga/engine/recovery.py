"""What a new leader finds open, and what it does about it: the normal path, called again.

Unfinished cycles end as cancelled: their data has aged. Every open saga runs on from its committed
state; an intent that the old process may have sent is looked up first. Sagas that need a person
wait for that person, with their symbol locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from structlog import get_logger

from tradesaga.domain.ids import AgentId
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Recovered
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import Records

log = get_logger()
SETTLE_SECONDS_MAX = 10.0
"""Real time given to open sagas before the first cycle; they go on beside it afterwards."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was open."""

    cycles: int
    sagas: int
    waiting_for_person: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Brings one agent back; done once, after the lease is taken and before the first cycle."""

    records: Records
    clock: Clock
    state: AgentState
    runner: CycleRunner
    desk: TradeDesk
    crew: SagaCrew
    agent_id: AgentId

    async def run(self) -> Found:
        """Load, end what cannot go on, run what can."""
        await self.state.load()
        await self.desk.holdings.load(self.records, self.agent_id, self.clock.now())
        cycles = await self.records.unfinished_cycles(self.agent_id)
        for cycle in cycles:
            await self.runner.interrupt(cycle)
        trades = [self.desk.trades.add(s) for s in await self.records.open_trades(self.agent_id)]
        self.desk.recovered = True
        await resume(trades, self.desk, self.crew)
        found = Found(
            cycles=len(cycles),
            sagas=len(trades),
            waiting_for_person=sum(1 for trade in trades if trade.ended.is_set()),
        )
        log.info("recovered", cycles=found.cycles, sagas=found.sagas)
        return found

    async def settle(self) -> None:
        """Give what was open time to end before anything new begins."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                for trade in self.desk.trades:
                    await trade.ended.wait()
        except TimeoutError:
            log.warning("sagas still open after a restart", number=len(self.desk.trades))
