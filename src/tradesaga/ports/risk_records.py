"""Reading what explains a decision: itself, what was said of it later, who approved its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId, ApprovalId, DecisionId
from tradesaga.domain.limit_change import LimitChange
from tradesaga.ports.trade_records import Place


class RiskRecords(Protocol):
    """Readers behind `why`. All raise Unavailable when the database gives no answer."""

    async def decision(self, agent_id: AgentId, decision_id: DecisionId) -> Decision | None:
        """One decision."""
        ...

    async def decision_named(self, agent_id: AgentId, name: str) -> DecisionId | None:
        """The decision that has the id `name`, or whose saga or order has it.

        An order is known by its own id, by its client order id and by the venue's.
        """
        ...

    async def denied_at_execution(
        self, agent_id: AgentId, decision: Decision
    ) -> Mapping[str, Any] | None:
        """What the rules said right before its saga would have begun, if they denied it."""
        ...

    async def trading_cycles_before(
        self, agent_id: AgentId, at: datetime, *, limit: int
    ) -> Sequence[Cycle]:
        """Cycles that ask for decisions and began at `at` or before, latest first."""
        ...

    async def agent_commanded_before(
        self, agent_id: AgentId, at: datetime
    ) -> Mapping[str, Any] | None:
        """The log's body of the last change of the agent at `at` or before, of the last 31 days."""
        ...

    async def approval(self, agent_id: AgentId, approval_id: ApprovalId) -> Approval | None:
        """One approval."""
        ...

    async def approvals(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: ApprovalState | None = None,
        after: Place | None = None,
    ) -> Sequence[Approval]:
        """The latest approvals by creation, latest first; 1 <= limit <= 1001."""
        ...

    async def limit_changes(self, agent_id: AgentId) -> Sequence[LimitChange]:
        """All changes of the limits, in the order of their revisions."""
        ...

    async def decision_costs(self, agent_id: AgentId, day: date) -> Decimal:
        """What the decisions of one day of the market have cost; what is set aside counts."""
        ...
