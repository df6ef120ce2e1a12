"""How a decision came about and what became of it, gathered from what was committed.

All of it has one correlation id, which is the id of the decision: of one that was asked for, the
question's as well; one that nobody asked for, or that a person gave, has an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradesaga.domain.approval import approval_id_of
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import AgentId, question_id
from tradesaga.domain.instructions import SAGA_TYPES
from tradesaga.domain.trade_plan import PLAN
from tradesaga.domain.trade_start import saga_id_of
from tradesaga.ports.records import CycleRecord, Records
from tradesaga.ports.risk_operations import Provenance

FETCHED = "fetched market data"
"""The line of a cycle's log that says what prices it has seen."""


async def provenance(records: Records, agent_id: AgentId, name: str) -> Provenance:
    """All about the decision of that name, see `Records.decision_named`.

    Raises:
        NotFound, Unavailable.
    """
    decision_id = await records.decision_named(agent_id, name)
    decision = None if decision_id is None else await records.decision(agent_id, decision_id)
    if decision_id is None or decision is None:
        raise NotFound(
            f"there is no decision, saga or order {name}; `GET /api/v1/cycles/ID` has them"
        )
    found = None
    if decision.cycle_id is not None:
        found = await records.cycle(agent_id, decision.cycle_id)
    kinds = sorted({PLAN.type, *SAGA_TYPES.values()})
    trades = [await records.trade(agent_id, saga_id_of(decision_id, kind)) for kind in kinds]
    positions = await records.positions(agent_id)
    return Provenance(
        decision=decision,
        correlation_id=str(decision_id),
        asked=found is not None and _was_asked(decision, found.cycle),
        cycle=None if found is None else found.cycle,
        market_data=_market_data(found, decision.symbol),
        denied_at_execution=await records.denied_at_execution(agent_id, decision),
        approval=await records.approval(agent_id, approval_id_of(decision_id)),
        trades=[trade for trade in trades if trade is not None],
        position=next((one for one in positions if one.symbol == decision.symbol), None),
        logs=[] if found is None else found.logs,
    )


def _was_asked(decision: Decision, cycle: Cycle) -> bool:
    """Whether it bears the id of a question of its cycle; what is instructed has no strategy."""
    return decision.strategy_id is not None and decision.id == question_id(
        cycle.id, decision.strategy_id, decision.symbol
    )


def _market_data(found: CycleRecord | None, symbol: str) -> Mapping[str, Any]:
    """What the cycle had fetched of the symbol before it asked."""
    for line in () if found is None else found.logs:
        quotes = line.context.get("quotes")
        if line.message == FETCHED and isinstance(quotes, Mapping) and symbol in quotes:
            quoted = line.context.get("quotedAt", {}).get(symbol)
            return {
                "symbol": symbol,
                "price": quotes[symbol],
                "quotedAt": None if quoted is None else datetime.fromisoformat(quoted),
                "fetchedAt": line.timestamp,
            }
    return {}
