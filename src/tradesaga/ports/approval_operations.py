"""What an operator can see and do about orders that wait for an approval: a driving port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.ids import ApprovalId
from tradesaga.ports.trade_records import Place


class ApprovalOperations(Protocol):
    """Every command is durable and audited under `actor`, with `by` and `reason`, on return."""

    async def approvals(
        self, *, limit: int, state: ApprovalState | None, after: Place | None = None
    ) -> Sequence[Approval]:
        """The latest ones, latest first; 1 <= limit <= 1001. Raises Unavailable."""
        ...

    async def approve(
        self, approval_id: ApprovalId, *, by: str, reason: str, actor: str
    ) -> Approval:
        """Judge the order once more and begin it; repeated, it answers with what stands.

        Raises:
            NotFound: there is no such approval.
            IllegalTransition: it has ended, the order is another one, or a rule says no now.
            Unavailable: a neighbour or the database gives no answer, or the agent was stopped.
        """
        ...

    async def deny(self, approval_id: ApprovalId, *, by: str, reason: str, actor: str) -> Approval:
        """Say no; repeated, it answers with what stands. Raises as `approve`."""
        ...
