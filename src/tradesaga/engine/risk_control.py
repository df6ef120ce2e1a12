"""Why an order was or was not made: the implementation of `ports.risk_operations`.

Everything is read from what was committed: the decision's row with the verdict of every rule, the
log, the cycles. Only strategies and calendar are those of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from tradesaga.domain.agent import Mode
from tradesaga.domain.as_read import AsRead
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import NotFound, Unavailable
from tradesaga.domain.ids import AgentId, DecisionId
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.risk import Changes
from tradesaga.domain.strategies import StrategyStatus
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.provenance import provenance
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import CycleRecord, Records
from tradesaga.ports.risk_operations import LimitsView, ModeLimits, Provenance, Why

CYCLES_LOOKED_AT: Final = 3
"""The cycle of the moment, and those before it that may have decided on the symbol."""


class RiskControl:
    """Explains without the lease; limits are shown and changed by its holder."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        records: Records,
        clock: Clock,
        market: MarketGate,
        interval: timedelta,
        state: AgentState,
        book: LimitBook,
    ) -> None:
        self._state = state
        self._book = book
        self._agent_id = agent_id
        self._records = records
        self._clock = clock
        self._market = market
        self._interval = interval

    async def why_decision(self, decision_id: DecisionId) -> Why:
        """See `ports.risk_operations`."""
        decision = await self._records.decision(self._agent_id, decision_id)
        if decision is None:
            raise NotFound(f"there is no decision {decision_id}; `GET /api/v1/cycles/ID` has them")
        return await self._explained(decision, decision.created_at, None)

    async def provenance(self, name: str) -> Provenance:
        """See `ports.risk_operations`."""
        return await provenance(self._records, self._agent_id, name)

    async def why(self, symbol: str, at: datetime | None) -> Why:
        """See `ports.risk_operations`."""
        now = self._clock.now()
        moment = now if at is None else min(at, now)
        cycles = await self._records.trading_cycles_before(
            self._agent_id, moment, limit=CYCLES_LOOKED_AT
        )
        for cycle in cycles:
            if not self._reaches(cycle, moment):
                continue
            record = await self._records.cycle(self._agent_id, cycle.id)
            made = [] if record is None else record.decisions
            found = [d for d in made if d.symbol == symbol and d.created_at <= moment]
            if found:
                return await self._explained(found[-1], moment, cycle)
        latest = next((cycle for cycle in cycles if self._reaches(cycle, moment)), None)
        reasons = await self._why_not(symbol, moment, latest)
        return Why(symbol=symbol, at=moment, cycle=latest, reasons=reasons)

    async def limits(self) -> LimitsView:
        """See `ports.risk_operations`."""
        if not self._state.is_loaded:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")
        book = self._book
        return LimitsView(
            revision=book.revision,
            active_mode=self._state.agent.mode,
            modes=[
                ModeLimits(mode=mode, limits=book.of_mode(mode), changes=book.layers(mode))
                for mode in (Mode.CONSERVATIVE, Mode.NORMAL, Mode.AGGRESSIVE)
            ],
        )

    async def limit_history(self) -> Sequence[LimitChange]:
        """See `ports.risk_operations`."""
        await self.limits()  # only who holds the agent
        return tuple(reversed(self._book.changes))

    async def change_limits(
        self,
        mode: Mode,
        limits: Changes,
        *,
        expires_at: datetime | None,
        revision: int | None,
        actor: str,
        reason: str,
        confirmed: bool = False,
        as_read: AsRead = None,
    ) -> LimitsView:
        """See `ports.risk_operations`."""
        await self.limits()  # only who holds the agent
        await self._book.change(
            mode,
            limits,
            expires_at=expires_at,
            revision=revision,
            actor=actor,
            reason=reason,
            confirmed=confirmed,
            as_read=as_read,
        )
        return await self.limits()

    async def _explained(self, decision: Decision, at: datetime, cycle: Cycle | None) -> Why:
        later = await self._records.denied_at_execution(self._agent_id, decision)
        return Why(
            symbol=decision.symbol,
            at=at,
            decision=decision,
            denied_at_execution=later,
            cycle=cycle,
        )

    def _reaches(self, cycle: Cycle, moment: datetime) -> bool:
        """Whether nothing newer was to be expected at that moment."""
        ended = cycle.completed_at
        return ended is None or moment <= max(ended, cycle.started_at + self._interval)

    async def _why_not(self, symbol: str, at: datetime, cycle: Cycle | None) -> list[str]:
        """What kept anybody from deciding on the symbol, the most general first."""
        reasons = []
        commanded = await self._records.agent_commanded_before(self._agent_id, at)
        status = None if commanded is None else commanded.get("to")
        if status not in (None, "running"):
            paused = ", ".join(commanded.get("pauseReasons", ())) if commanded else ""
            reasons.append(f"the agent was {status}" + (f" ({paused})" if paused else ""))
        if not self._market.is_open(at):
            opens = self._market.next_open(at)
            then = "" if opens is None else f"; it opens at {opens.isoformat()}"
            reasons.append(f"the market was closed{then}")
        reasons += await self._of_strategies(symbol)
        if cycle is not None:
            record = await self._records.cycle(self._agent_id, cycle.id)
            reasons += _of_cycle(cycle, record, symbol)
        elif not reasons:
            reasons.append("no cycle was begun: one before it still ran, or nothing ran at all")
        return reasons

    async def _of_strategies(self, symbol: str) -> list[str]:
        watching = [
            record.strategy
            for record in await self._records.strategies(self._agent_id)
            if symbol in record.strategy.symbols
        ]
        if not watching:
            return [f"no strategy watches {symbol}"]
        if any(s.status is StrategyStatus.ACTIVE for s in watching):
            return []
        return [
            f"strategy {s.external_id}, which watches {symbol}, is {s.status}" for s in watching
        ]


def _of_cycle(cycle: Cycle, record: CycleRecord | None, symbol: str) -> list[str]:
    said = [error.error for error in cycle.errors]
    if cycle.status is CycleStatus.STARTED:
        said.append(f"cycle {cycle.id} is at {cycle.step}, it has not decided yet")
    elif cycle.status is not CycleStatus.COMPLETED:
        logs = [] if record is None else record.logs
        last = next((line.message for line in reversed(logs) if line.level == "error"), "")
        said.append(f"cycle {cycle.id} was {cycle.status}" + (f": {last}" if last else ""))
    return said or [f"cycle {cycle.id} ended without a decision on {symbol}"]
