"""Readers behind `why` over the store of `adapters.memory.journal`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tradesaga.adapters.memory.trade_records import MemoryTradeRecords, stored_body
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.cycle import Cycle, CycleType
from tradesaga.domain.decision_cost import DecisionCharge
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId, ApprovalId, DecisionId, uuid_or_none
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.money import ZERO
from tradesaga.ports.trade_records import LAST, Place


class MemoryRiskRecords(MemoryTradeRecords):
    """Implements `ports.risk_records.RiskRecords`."""

    async def decision(self, agent_id: AgentId, decision_id: DecisionId) -> Decision | None:
        """One decision."""
        found = [d for d in self._store.of(Decision, agent_id) if d.id == decision_id]
        return found[0] if found else None

    async def decision_named(self, agent_id: AgentId, name: str) -> DecisionId | None:
        """The decision that has the id `name`, or whose saga or order has it."""
        known = uuid_or_none(name)
        if known is not None and await self.decision(agent_id, DecisionId(known)) is not None:
            return DecisionId(known)
        for trade in self._trades(agent_id):
            order = trade.order
            if known in (trade.saga.id, order.id) or name in (
                order.client_order_id,
                order.venue_order_id,
            ):
                return trade.saga.decision_id
        return None

    async def denied_at_execution(
        self, agent_id: AgentId, decision: Decision
    ) -> Mapping[str, Any] | None:
        """What the rules said right before its saga would have begun, if they denied it."""
        bodies = self._bodies(agent_id, str(decision.id), "decision.denied")
        return next((body for _, body in bodies), None)

    async def trading_cycles_before(
        self, agent_id: AgentId, at: datetime, *, limit: int
    ) -> Sequence[Cycle]:
        """Cycles that ask for decisions and began at `at` or before, latest first."""
        found = [
            cycle
            for cycle in self._store.of(Cycle, agent_id)
            if cycle.started_at <= at and cycle.type is not CycleType.HEARTBEAT
        ]
        return sorted(found, key=lambda c: (c.started_at, c.id), reverse=True)[:limit]

    async def agent_commanded_before(
        self, agent_id: AgentId, at: datetime
    ) -> Mapping[str, Any] | None:
        """The log's body of the last change of the agent at `at` or before."""
        bodies = self._bodies(agent_id, str(agent_id), "agent.")
        return next((body for when, body in bodies if when <= at), None)

    async def approval(self, agent_id: AgentId, approval_id: ApprovalId) -> Approval | None:
        """One approval."""
        found = [a for a in self._store.of(Approval, agent_id) if a.id == approval_id]
        return found[0] if found else None

    async def approvals(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: ApprovalState | None = None,
        after: Place | None = None,
    ) -> Sequence[Approval]:
        """The latest approvals by creation, latest first."""
        found = [
            a
            for a in self._store.of(Approval, agent_id)
            if state in (None, a.state) and (a.created_at, a.id) < (after or LAST)
        ]
        return sorted(found, key=lambda a: (a.created_at, a.id), reverse=True)[:limit]

    async def limit_changes(self, agent_id: AgentId) -> Sequence[LimitChange]:
        """All changes of the limits, in the order of their revisions."""
        found: list[LimitChange] = self._store.of(LimitChange, agent_id)
        return sorted(found, key=lambda change: change.revision)

    async def decision_costs(self, agent_id: AgentId, day: date) -> Decimal:
        """What the decisions of one day of the market have cost."""
        charges = self._store.of(DecisionCharge, agent_id)
        return sum((charge.amount for charge in charges if charge.day == day), ZERO)

    def _bodies(
        self, agent_id: AgentId, subject: str, kind: str
    ) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
        """Times and bodies of the log about `subject`, latest first."""
        for line in reversed(self._store.log_of(agent_id)):
            if line.entry.subject == subject and line.entry.kind.startswith(kind):
                yield line.at, stored_body(line.entry.body)
