"""What can be asked and said about risk: why an order was or was not made, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import DecisionId


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


class RiskOperations(Protocol):
    """Questions need no lease: any node that reaches the database answers."""

    async def why_decision(self, decision_id: DecisionId) -> Why:
        """What every rule said of one decision. Raises NotFound, Unavailable."""
        ...

    async def why(self, symbol: str, at: datetime | None) -> Why:
        """The last decision on `symbol` at that time, None for now; or why there was none.

        Raises:
            Unavailable: the database gives no answer.
        """
        ...
