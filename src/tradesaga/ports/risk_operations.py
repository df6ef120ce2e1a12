"""What can be asked and said about risk: why an order was or was not made, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tradesaga.domain.agent import Mode
from tradesaga.domain.approval import Approval
from tradesaga.domain.as_read import AsRead
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import DecisionId
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.risk import Changes, Limits
from tradesaga.ports.journal import CycleLog
from tradesaga.ports.records import PositionSums
from tradesaga.ports.trade_records import TradeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer about one moment. Without a decision `reasons` say why none was asked for.

    `denied_at_execution` is what the rules said right before the saga would have begun, when it
    was another thing than at first; as `Decision.rules`.
    """

    symbol: str
    at: datetime
    decision: Decision | None = None
    denied_at_execution: Mapping[str, Any] | None = None
    cycle: Cycle | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """A decision with all that led to it and came of it, as it was committed.

    `correlation_id` is the one under which all of it travels, question and fill alike. `asked` says
    whether there was a question: of a decision that nobody asked for, the id is its own.
    `market_data` is empty when no cycle fetched any. `position` is that of now; `logs` are the
    cycle's.
    """

    decision: Decision
    correlation_id: str
    asked: bool
    cycle: Cycle | None
    market_data: Mapping[str, Any]
    denied_at_execution: Mapping[str, Any] | None
    approval: Approval | None
    trades: Sequence[TradeRecord]
    position: PositionSums | None
    logs: Sequence[CycleLog]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeLimits:
    """The limits of one mode as they are in force, and the changes that count."""

    mode: Mode
    limits: Limits
    changes: Sequence[LimitChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    """All modes; `revision` counts the changes ever made."""

    revision: int
    active_mode: Mode
    modes: Sequence[ModeLimits]


class RiskOperations(Protocol):
    """Why needs no lease: any node that reaches the database answers; limits need the lease."""

    async def why_decision(self, decision_id: DecisionId) -> Why:
        """What every rule said of one decision. Raises NotFound, Unavailable."""
        ...

    async def provenance(self, name: str) -> Provenance:
        """How one decision came about and what became of it. Raises NotFound, Unavailable.

        `name` is the correlation id, which is the decision's, or an id of its saga or its order:
        ours, the client's or the venue's.
        """
        ...

    async def why(self, symbol: str, at: datetime | None) -> Why:
        """The last decision on `symbol` at that time, None for now; or why there was none.

        Raises:
            Unavailable: the database gives no answer.
        """
        ...

    async def limits(self) -> LimitsView:
        """The limits in force. Raises Unavailable."""
        ...

    async def limit_history(self) -> Sequence[LimitChange]:
        """Every change ever made, the latest first. Raises Unavailable."""
        ...

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
        """Set what of `mode` differs from the configuration; in force and audited when it returns.

        Raises:
            Invalid: unknown limits, values out of bounds, contradictions, an end that has passed;
                a limit becomes looser, now or later, and that is not `confirmed`.
            Conflict: `revision` is not the present one; Stale: nor is one of `as_read`.
            Unavailable: the database is away, or another node holds the agent.
        """
        ...
