"""Durable trade sagas per second, with every row of the product, on an embedded Postgres.

Each saga is a decision with its inbox rows, then reservation, intent, submission, fill, position,
trade and release: the product's own desk, runner and journal. Only the venue is not there.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from bench.venue import PRICE, InstantVenue
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import AgentId, DecisionId, derived
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Policy
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.journal import Entry, InboxEntry, Insert

POLICY = Policy(
    saga_time_max=timedelta(seconds=60),
    fill_time_max=timedelta(seconds=30),
    retry=RetryPolicy(retries_max=3, delay_first=timedelta(seconds=1)),
    visibility_lag=timedelta(seconds=1),
    dedupes=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One row of the table; latencies in milliseconds."""

    concurrency: int
    sagas: int
    per_second: float
    p50: float
    p99: float


class Bench:
    """The engine's trade path over a database of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._clock = SystemClock()
        self._agent = AgentId(UUID(int=7))
        self._number = 0

    async def run(self, levels: tuple[int, ...], seconds: float) -> list[Figures]:
        """Measure each level for about `seconds`, after a short warm-up."""
        journal, pool = PostgresJournal(self._dsn), ReaderPool(self._dsn)
        lease = PostgresLease(self._dsn, self._clock)
        records = PostgresRecords(pool)
        leadership = Leadership(
            lease=lease,
            clock=self._clock,
            agent_id=self._agent,
            renew_every=timedelta(milliseconds=500),
            on_epoch=journal.open,
        )
        scribe = Scribe(
            journal=journal, clock=self._clock, leadership=leadership, agent_id=self._agent
        )
        desk = TradeDesk(
            scribe=scribe,
            records=records,
            clock=self._clock,
            metrics=PrometheusMetrics(version="bench", now=self._clock.now),
            policy=POLICY,
            agent_id=self._agent,
        )
        actions = TradeActions(
            venue=InstantVenue(self._clock),
            clock=self._clock,
            leadership=leadership,
            refusal_to_send=str,
        )
        runner = SagaRunner(desk=desk, actions=actions, clock=self._clock)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(journal.run())
            await leadership.take()
            holding = group.create_task(leadership.hold())
            state = AgentState(
                scribe=scribe,
                records=records,
                clock=self._clock,
                agent_id=self._agent,
                name="bench",
            )
            await state.load()
            await self._level(desk, runner, scribe, 16, 0.5)
            figures = [await self._level(desk, runner, scribe, level, seconds) for level in levels]
            holding.cancel()
            await journal.close(timedelta(seconds=5))
            await asyncio.wait([writing])
        await lease.close()
        await pool.close()
        return figures

    async def _level(
        self, desk: TradeDesk, runner: SagaRunner, scribe: Scribe, level: int, seconds: float
    ) -> Figures:
        latencies: list[float] = []
        end = time.perf_counter() + seconds

        async def worker() -> None:
            while time.perf_counter() < end:
                began = time.perf_counter()
                await self._one(desk, runner, scribe)
                latencies.append((time.perf_counter() - began) * 1000)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(level):
                group.create_task(worker())
        took = time.perf_counter() - began
        latencies.sort()
        return Figures(
            concurrency=level,
            sagas=len(latencies),
            per_second=len(latencies) / took,
            p50=latencies[len(latencies) // 2],
            p99=latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
        )

    async def _one(self, desk: TradeDesk, runner: SagaRunner, scribe: Scribe) -> None:
        """One decision, made durable, then executed to its end."""
        self._number += 1
        now = self._clock.now()
        decision = self._decision(self._number, now)
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
        await scribe.fact([Insert(decision), Insert(inbox)], [entry])
        state = trade_for(decision, reserve=PRICE * 10, now=now, policy=POLICY)
        trade = await desk.begin(state, epoch=scribe.epoch)
        saga = await runner.run(trade)
        assert saga.status is SagaStatus.COMPLETED, saga

    def _decision(self, number: int, now: datetime) -> Decision:
        external = f"{now.isoformat()}-{number}"
        return Decision(
            id=DecisionId(derived(self._agent, "decision", external)),
            external_id=external,
            agent_id=self._agent,
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
            expires_at=now + timedelta(seconds=60),
            created_at=now,
            verdict=Verdict.ALLOWED,
            opening=True,
        )
