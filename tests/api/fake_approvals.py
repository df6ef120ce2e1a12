"""A fake of the port of approvals: one that waits; an answer is kept with who gave it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tests.domain.trades import START, begun
from tradesaga.domain.approval import Approval, ApprovalState, asked, must_be_open
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import ApprovalId
from tradesaga.ports.trade_records import LAST, Place

WAITING = asked(begun().order, "c0f1", START, None)


class FakeApprovals:
    """Implements `ports.approval_operations`."""

    def __init__(self) -> None:
        self.one = WAITING
        self.more: Sequence[Approval] = ()
        self.calls: list[tuple[str, dict[str, object]]] = []

    async def approvals(
        self, *, limit: int, state: ApprovalState | None, after: Place | None = None
    ) -> Sequence[Approval]:
        self.calls.append(("list", {"limit": limit, "state": state}))
        found = [
            one
            for one in (self.one, *self.more)
            if state in (None, one.state) and (one.created_at, one.id) < (after or LAST)
        ]
        return found[:limit]

    async def approve(
        self, approval_id: ApprovalId, *, by: str, reason: str, actor: str
    ) -> Approval:
        return self._ended(approval_id, ApprovalState.CONSUMED, by, reason, actor)

    async def deny(self, approval_id: ApprovalId, *, by: str, reason: str, actor: str) -> Approval:
        return self._ended(approval_id, ApprovalState.DENIED, by, reason, actor)

    def _ended(
        self, approval_id: ApprovalId, state: ApprovalState, by: str, reason: str, actor: str
    ) -> Approval:
        self.calls.append((state, {"by": by, "reason": reason, "actor": actor}))
        if approval_id != self.one.id:
            raise NotFound(f"there is no approval {approval_id}")
        at = START + timedelta(minutes=1)
        must_be_open(self.one, at)
        self.one = replace(self.one, state=state, decided_by=by, decided_at=at, reason=reason)
        return self.one
