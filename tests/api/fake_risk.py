"""A fake of the port behind `why`: one denied decision, and a symbol that nobody decided on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tradesaga.domain.agent import Mode
from tradesaga.domain.as_read import must_be_as_read
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, DecisionId
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.risk import Changes, Limits
from tradesaga.ports.risk_operations import LimitsView, ModeLimits, Provenance, Why

DENIED_ID = DecisionId(UUID("01766713-2a80-7000-8000-0000000000d1"))
AT = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
NAMES = ("01766713-2a80-7000-8000-0000000000a5", "ts-0an0", "ord_1_000001")
"""By which it is known as well: its saga, the client order id, the venue's."""
RULES = {
    "inputs": {"quantity": "63", "price": "100"},
    "rules": {
        "ORDER_NOTIONAL": [
            "denied", "6300", "5000", "order would be 6300.00, at most 5000.00",
            "quantity 50 or less",
        ],
        "LADDER": ["passed", "NORMAL"],
    },
}  # fmt: skip
DENIED = Decision(
    id=DENIED_ID,
    external_id="d-1",
    agent_id=DEFAULT_AGENT,
    cycle_id=None,
    strategy_id=None,
    symbol="ACME",
    action=Action.BUY,
    confidence=Decimal("0.9"),
    quantity=Decimal(63),
    reference_price=Decimal(100),
    reasoning="",
    model="",
    as_of=AT,
    expires_at=AT,
    created_at=AT,
    verdict=Verdict.DENIED,
    opening=True,
    denials=(Denial(code="ORDER_NOTIONAL", message="order would be 6300.00, at most 5000.00"),),
    rules=RULES,
)

CHANGE = LimitChange(
    id=UUID(int=9), agent_id=DEFAULT_AGENT, revision=1, mode=Mode.NORMAL,
    limits={"positionPercent": Decimal("7.5")}, expires_at=AT, actor="api:127.0.0.1",
    reason="earnings", made_at=AT,
)  # fmt: skip


class FakeRisk:
    """Implements `ports.risk_operations.RiskOperations`; `calls` is what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def why_decision(self, decision_id: DecisionId) -> Why:
        self.calls.append(("why_decision", {"decision_id": decision_id}))
        if decision_id != DENIED_ID:
            raise NotFound(f"there is no decision {decision_id}")
        return Why(symbol="ACME", at=AT, decision=DENIED)

    async def provenance(self, name: str) -> Provenance:
        self.calls.append(("provenance", {"name": name}))
        if name not in (str(DENIED_ID), *NAMES):
            raise NotFound(f"there is no decision, saga or order {name}")
        return Provenance(
            decision=DENIED,
            correlation_id=str(DENIED_ID),
            asked=False,
            cycle=None,
            market_data={},
            denied_at_execution=None,
            approval=None,
            trades=[],
            position=None,
            logs=[],
        )

    async def why(self, symbol: str, at: datetime | None) -> Why:
        self.calls.append(("why", {"symbol": symbol, "at": at}))
        if symbol == "ACME":
            return Why(symbol=symbol, at=at or AT, decision=DENIED)
        return Why(symbol=symbol, at=at or AT, reasons=["the market was closed"])

    async def limits(self) -> LimitsView:
        normal = ModeLimits(mode=Mode.NORMAL, limits=Limits(), changes=[CHANGE])
        return LimitsView(revision=1, active_mode=Mode.NORMAL, modes=[normal])

    async def limit_history(self) -> Sequence[LimitChange]:
        return [CHANGE]

    async def change_limits(self, mode: Mode, limits: Changes, **given: Any) -> LimitsView:
        must_be_as_read("the limits", 1, given.pop("as_read"))
        self.calls.append(("change_limits", {"mode": mode, "limits": limits, **given}))
        return await self.limits()
