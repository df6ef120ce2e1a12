"""One cycle's record explains it alone: inputs, decisions, verdicts, orders, logs, timings.

What the specification asks for, field by field, of the record that a real cycle leaves and the
API tells.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec

from tests.engine.test_analysis_cycle import OTHER, analysed, new_place, trading
from tradesaga.api.cycle_answers import cycle_answer, cycle_record_answer
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.risk import codes

ENCODE = msgspec.json.Encoder(decimal_format="number").encode
# The answer of `GET /cycles/:id` and the row of `orchestration.cycles`, as specified.
LISTED = {
    "id", "type", "startedAt", "completedAt", "duration", "status", "decisions", "orders", "errors",
}  # fmt: skip
COLUMNS = {
    "id": "id", "type": "type", "status": "status", "started_at": "startedAt",
    "completed_at": "completedAt", "duration_ms": "duration",
    "strategies_processed": "strategiesProcessed", "decisions_generated": "decisions",
    "orders_submitted": "orders", "orders_filled": "ordersFilled", "errors": "errors",
    "metadata": "metadata",
}  # fmt: skip
DETAILS = {"cycle", "decisions", "orders", "logs"}
LOG = {"level", "message", "context", "timestamp"}


async def record() -> tuple[dict[str, Any], set[str]]:
    """Of a cycle in which one strategy buys, the other is denied, and a third has no quote."""
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(
        number, symbol, "buy", 2 if symbol == "ACME" else 10_000
    )
    silent = replace(
        OTHER, id=StrategyId(derived("quiet")), external_id="quiet", name="Quiet", symbols=("CORP",)
    )
    async with trading(place, OTHER, silent) as parts:
        cycle = await analysed(place, parts)
        found = await place.records.cycle(DEFAULT_AGENT, cycle.id)
    assert found is not None
    listed = json.loads(ENCODE(cycle_answer(cycle)))
    told = json.loads(ENCODE(cycle_record_answer(found)))
    return told, set(listed)


async def test_the_record_has_every_field_of_the_specification() -> None:
    told, listed = await record()
    assert set(told) == DETAILS
    assert listed == LISTED <= set(told["cycle"])
    assert set(COLUMNS.values()) <= set(told["cycle"])
    assert all(set(line) == LOG for line in told["logs"])


async def test_the_record_explains_the_cycle_alone() -> None:
    told, _ = await record()
    cycle, logs = told["cycle"], {line["message"]: line["context"] for line in told["logs"]}
    # inputs: what was seen of the market and of the books
    assert logs["fetched market data"]["quotes"] == {"ACME": "100.00", "BOLT": "100.00"}
    assert logs["evaluated positions"]["positions"] == {}
    # decisions and verdicts: every rule with its figures, for both
    bought, denied = sorted(told["decisions"], key=lambda d: d["symbol"])
    for decision in (bought, denied):
        assert list(decision["rules"]["rules"]) == list(codes())
        assert decision["rules"]["inputs"]["equity"] == "100000"
        assert decision["reasoning"] is not None
        assert decision["asOf"]
        assert decision["referencePrice"] == 100
    assert (bought["verdict"], denied["verdict"]) == ("allowed", "denied")
    assert "ORDER_NOTIONAL" in {each["code"] for each in denied["denials"]}
    # orders: of which decision, what became of it, on what evidence
    [order] = told["orders"]
    assert (order["decisionId"], order["cycleId"]) == (bought["id"], cycle["id"])
    assert (order["status"], order["filledQuantity"]) == ("filled", 2)
    assert order["evidence"]
    assert order["submittedAt"] >= order["createdAt"]
    # what went wrong, and for whom
    assert cycle["errors"] == [{"strategyId": "quiet", "error": "no quote of CORP"}]
    assert (cycle["outcome"], cycle["strategiesProcessed"]) == ("partial", 3)
    assert (cycle["decisions"], cycle["orders"], cycle["ordersFilled"]) == (2, 1, 1)
    # timings: of the whole and of each step
    assert list(cycle["timings"]) == cycle["steps"]
    assert sum(cycle["timings"].values()) <= cycle["duration"]
    assert {"scheduledAt", "startedAt", "completedAt", "triggeredBy"} <= set(cycle)
    assert not any(name.startswith("ms.") for name in cycle["metadata"])


async def test_a_step_takes_as_long_as_the_clock_says() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: None  # the deadline of 10 s is waited for
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
    assert cycle.timings["generate_decisions"] == 10_000
    assert cycle.duration == timedelta(seconds=10)
    assert cycle.timings["validate_decisions"] == 0


async def test_a_cycle_that_fails_has_the_steps_that_it_did() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        place.venue.down = True
        cycle = await analysed(place, parts)
    assert cycle.status is CycleStatus.FAILED
    assert (cycle.cursor, cycle.timings) == (0, {})
    assert cycle.errors[-1].error
