"""Readers behind `why` on Postgres: implements `ports.risk_records.RiskRecords`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tradesaga.adapters.postgres.decoding import reader
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.trade_records import LOG_SLACK, PostgresTradeRecords
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId, ApprovalId, DecisionId, uuid_or_none
from tradesaga.domain.limit_change import LimitChange
from tradesaga.ports.trade_records import LAST, Place

APPROVALS_MAX: Final = 1001
LOOKED_BACK: Final = timedelta(days=31)
"""How far the log is searched for the last command to the agent."""
_SQL: Final = {name: query.sql for name, query in load("why").items()}
_decision, _cycle, _change = reader(Decision), reader(Cycle), reader(LimitChange)
_approval = reader(Approval)


class PostgresRiskRecords(PostgresTradeRecords):
    """Implements `ports.risk_records.RiskRecords`."""

    async def decision(self, agent_id: AgentId, decision_id: DecisionId) -> Decision | None:
        """One decision."""
        rows = await self._pool.fetch(_SQL["decision"], agent_id, decision_id)
        return _decision(rows[0]) if rows else None

    async def decision_named(self, agent_id: AgentId, name: str) -> DecisionId | None:
        """The decision that has the id `name`, or whose saga or order has it."""
        rows = await self._pool.fetch(_SQL["decision_named"], agent_id, uuid_or_none(name), name)
        return DecisionId(rows[0]["id"]) if rows else None

    async def denied_at_execution(
        self, agent_id: AgentId, decision: Decision
    ) -> Mapping[str, Any] | None:
        """What the rules said right before its saga would have begun, if they denied it."""
        window = decision.created_at - LOG_SLACK, decision.expires_at + LOG_SLACK
        subject = str(decision.id)
        rows = await self._pool.fetch(_SQL["denied_at_execution"], agent_id, subject, *window)
        return dict(rows[0]["body"]) if rows else None

    async def trading_cycles_before(
        self, agent_id: AgentId, at: datetime, *, limit: int
    ) -> Sequence[Cycle]:
        """Cycles that ask for decisions and began at `at` or before, latest first."""
        rows = await self._pool.fetch(_SQL["trading_cycles_before"], agent_id, at, limit)
        return [_cycle(row) for row in rows]

    async def agent_commanded_before(
        self, agent_id: AgentId, at: datetime
    ) -> Mapping[str, Any] | None:
        """The log's body of the last change of the agent at `at` or before, of the last 31 days."""
        window = str(agent_id), at - LOOKED_BACK, at
        rows = await self._pool.fetch(_SQL["agent_commanded_before"], agent_id, *window)
        return dict(rows[0]["body"]) if rows else None

    async def approval(self, agent_id: AgentId, approval_id: ApprovalId) -> Approval | None:
        """One approval."""
        rows = await self._pool.fetch(_SQL["approval"], agent_id, approval_id)
        return _approval(rows[0]) if rows else None

    async def approvals(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: ApprovalState | None = None,
        after: Place | None = None,
    ) -> Sequence[Approval]:
        """The latest approvals by creation, latest first; 1 <= limit <= 1001."""
        assert 1 <= limit <= APPROVALS_MAX, limit
        asked = agent_id, state, *(after or LAST), limit
        rows = await self._pool.fetch(_SQL["approvals"], *asked)
        return [_approval(row) for row in rows]

    async def limit_changes(self, agent_id: AgentId) -> Sequence[LimitChange]:
        """All changes of the limits, in the order of their revisions."""
        rows = await self._pool.fetch_together(_SQL["limit_changes"], agent_id)
        return [_change(row) for row in rows]

    async def decision_costs(self, agent_id: AgentId, day: date) -> Decimal:
        """What the decisions of one day of the market have cost."""
        rows = await self._pool.fetch(_SQL["decision_costs"], agent_id, day)
        return Decimal(rows[0]["amount"])
