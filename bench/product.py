"""The product's own desk, runner, crew and journal over a database; only the venue is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID

from bench.venue import PRICE, InstantVenue
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import AgentId, DecisionId, derived_at
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Policy
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.journal import Entry, InboxEntry, Insert

AGENT = AgentId(UUID(int=7))
POLICY = Policy(
    saga_time_max=timedelta(seconds=600),
    fill_time_max=timedelta(seconds=300),
    retry=RetryPolicy(retries_max=3, delay_first=timedelta(seconds=1)),
    visibility_lag=timedelta(seconds=1),
    dedupes=True,
)
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a saga runs through."""

    clock: SystemClock
    venue: InstantVenue
    records: PostgresRecords
    scribe: Scribe
    desk: TradeDesk
    runner: SagaRunner
    leadership: Leadership

    async def saga(self) -> None:
        """One decision, made durable, then executed to its end."""
        saga = await self.runner.run(await self.begun())
        assert saga.status is SagaStatus.COMPLETED, saga

    async def begun(self) -> OpenTrade:
        """One decision and the durable intent of its order: one commit of the desk.

        So are closes and rebalance legs begun; a cycle commits all its decisions first.
        """
        now = self.clock.now()
        decision = decision_at(now)
        inbox = InboxEntry(
            event_id=f"bench-{decision.id}", event_type="ai.decision.generated", source="bench",
            received_at=now,
        )  # fmt: skip
        entry = Entry(
            kind="decision.judged",
            subject=str(decision.id),
            actor="bench",
            body={"verdict": decision.verdict, "quantity": decision.quantity},
        )
        state = trade_for(decision, reserve=PRICE * 10, now=now, policy=POLICY)
        return await self.desk.begin(
            state,
            epoch=self.scribe.epoch,
            rows=(Insert(decision), Insert(inbox)),
            entries=(entry,),
        )


def decision_at(now: datetime) -> Decision:
    """A decision to buy that no other run has made."""
    number = next(_numbers)
    external = f"{now.isoformat()}-{number}"
    return Decision(
        id=DecisionId(derived_at(now, AGENT, "decision", external)),
        external_id=external,
        agent_id=AGENT,
        cycle_id=None,
        strategy_id=None,
        symbol=f"S{number % 50}",
        action=Action.BUY,
        confidence=Decimal("0.8"),
        quantity=Decimal(10),
        reference_price=PRICE,
        reasoning="bench",
        model="bench",
        as_of=now,
        expires_at=now + timedelta(seconds=600),
        created_at=now,
        verdict=Verdict.ALLOWED,
        opening=True,
    )


@asynccontextmanager
async def product(dsn: str) -> AsyncIterator[Product]:
    """Take the lease and write until the block ends."""
    clock = SystemClock()
    journal, pool = PostgresJournal(dsn, schema=SCHEMA), ReaderPool(dsn, schema=SCHEMA)
    lease = PostgresLease(dsn, clock, schema=SCHEMA)
    records, venue = PostgresRecords(pool), InstantVenue(clock)
    leadership = Leadership(
        lease=lease,
        clock=clock,
        agent_id=AGENT,
        renew_every=timedelta(milliseconds=500),
        on_epoch=journal.open,
    )
    scribe = Scribe(journal=journal, clock=clock, leadership=leadership, agent_id=AGENT)
    metrics = PrometheusMetrics(version="bench", now=clock.now)
    desk = TradeDesk(
        scribe=scribe, records=records, clock=clock, metrics=metrics, policy=POLICY, agent_id=AGENT
    )
    actions = TradeActions(
        venue=venue, clock=clock, leadership=leadership, refusal_to_send=lambda _: ""
    )
    runner = SagaRunner(desk=desk, actions=actions, clock=clock)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(journal.run())
        await leadership.take()
        holding = group.create_task(leadership.hold())
        state = AgentState(
            scribe=scribe, records=records, clock=clock, agent_id=AGENT, name="bench"
        )
        await state.load()
        yield Product(
            clock=clock,
            venue=venue,
            records=records,
            scribe=scribe,
            desk=desk,
            runner=runner,
            leadership=leadership,
        )
        holding.cancel()
        await journal.close(timedelta(seconds=5))
        await asyncio.wait([writing])
    await leadership.release()
    await lease.close()
    await pool.close()
