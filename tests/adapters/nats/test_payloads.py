"""Every form of every event that the neighbours send, and what must never pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.nats.conftest import nested
from tradesaga.adapters.nats.envelope import BYTES_MAX, Unreadable
from tradesaga.adapters.nats.payloads import decode_event
from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import (
    Content,
    DecisionGenerated,
    Incoming,
    OrderReported,
    Unhandled,
)
from tradesaga.domain.orders import OrderStatus, VenueFill, VenueReport

SENT = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
HEARD = SENT + timedelta(milliseconds=250)


def content(event_type: str, /, **payload: Any) -> Content:
    return decode_event(nested(event_type, **payload), HEARD).content


def report(event_type: str, /, **payload: Any) -> VenueReport:
    found = content(event_type, **payload)
    assert isinstance(found, OrderReported)
    return found.report


# ---- envelopes ----------------------------------------------------------------------------------

FLAT = {
    "eventId": "01890000-0000-7000-8000-000000000001",
    "eventType": "ai.decision.executed",
    "timestamp": "2025-03-03T16:00:00.000+01:00",
    "version": "1.0.0",
    "source": "ai-decision",
    "correlationId": "c-1",
    "payload": {},
}


@pytest.mark.parametrize("extra", [{}, {"metadata": {"host": 5}}, {"metadata": [1]}])
def test_the_flat_envelope(extra: dict[str, Any]) -> None:
    assert decode_event(msgspec.json.encode(FLAT | extra), HEARD) == Incoming(
        event_id="01890000-0000-7000-8000-000000000001",
        type="ai.decision.executed",
        source="ai-decision",
        correlation_id="c-1",
        at=SENT,
        content=Unhandled(type="ai.decision.executed"),
    )


def test_the_nested_envelope() -> None:
    assert decode_event(
        nested("trade.position.opened", "evt_9", positionId="p"), HEARD
    ) == Incoming(
        event_id="evt_9",
        type="trade.position.opened",
        source="trading-engine",
        correlation_id=None,
        at=SENT,
        content=Unhandled(type="trade.position.opened"),
    )


def test_nested_beats_flat() -> None:
    both = FLAT | {
        "metadata": {
            "eventId": "inner",
            "eventType": "x.y",
            "timestamp": "2025-03-03T15:00:00Z",
        }
    }
    assert decode_event(msgspec.json.encode(both), HEARD).event_id == "inner"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}",
        b"[" * 100_000,
        b'{"metadata":' + b"[" * 100_000,
        msgspec.json.encode({k: v for k, v in FLAT.items() if k != "eventType"}),
        msgspec.json.encode({k: v for k, v in FLAT.items() if k != "eventId"}),
        msgspec.json.encode({k: v for k, v in FLAT.items() if k != "payload"}),
        msgspec.json.encode({k: v for k, v in FLAT.items() if k != "timestamp"}),
        msgspec.json.encode(FLAT | {"payload": None}),
        msgspec.json.encode(FLAT | {"payload": []}),
        msgspec.json.encode(FLAT | {"payload": "text"}),
        msgspec.json.encode(FLAT | {"eventId": ""}),
        msgspec.json.encode(FLAT | {"eventId": "x" * 300}),
        msgspec.json.encode(FLAT | {"timestamp": "2025-03-03T15:00:00"}),
        msgspec.json.encode(FLAT | {"timestamp": 1}),
        msgspec.json.encode(FLAT | {"payload": {"text": "a\x00b"}}),
        msgspec.json.encode(FLAT | {"payload": {"text": "x" * BYTES_MAX}}),
    ],
)
def test_no_envelope(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_event(body, HEARD)


# ---- decisions ----------------------------------------------------------------------------------


def test_a_decision_of_the_documents() -> None:
    found = content(
        "ai.decision.generated",
        decisionId="dec_1",
        symbol="SPY",
        strategyId="momentum",
        action="BUY",
        confidence=0.85,
        reasoning="trend",
        factors=[{"name": "sma", "direction": "bullish", "weight": 0.5}],
        suggestedQuantity=12.5,
        suggestedPrice=370.25,
        stopLoss=360,
        riskLevel="low",
        modelUsed="gpt",
        promptTokens=1,
    )
    assert found == DecisionGenerated(
        proposal=Proposal(
            external_id="dec_1",
            symbol="SPY",
            action="BUY",
            confidence=Decimal("0.85"),
            reasoning="trend",
            said_at=SENT,
            strategy_id="momentum",
            suggested_quantity=Decimal("12.5"),
            suggested_price=Decimal("370.25"),
            model="gpt",
            prompt_tokens=1,
        )
    )


def test_a_decision_of_the_implementation() -> None:
    found = content(
        "ai.decision.generated",
        decisionId="dec_1",
        symbol="SPY",
        action="hold",
        confidence=0.5,
        reasoning=["no price", "no averages"],
        alternatives=[],
        dataQuality=0.5,
        modelUsed="heuristics:v1",
        generatedAt="2025-03-03T15:00:00.000Z",
    )
    assert found == DecisionGenerated(
        proposal=Proposal(
            external_id="dec_1",
            symbol="SPY",
            action="hold",
            confidence=Decimal("0.5"),
            reasoning="no price; no averages",
            said_at=SENT,
            model="heuristics:v1",
        )
    )


def test_a_decision_with_next_to_nothing() -> None:
    found = content(
        "ai.decision.generated", decisionId="d", symbol="S", action="Sell", requestId="r"
    )
    assert isinstance(found, DecisionGenerated)
    proposal = found.proposal
    assert (proposal.action, proposal.confidence, proposal.reasoning) == ("Sell", None, "")
    assert proposal.request_id == "r"


# ---- orders -------------------------------------------------------------------------------------

ORDER = {"orderId": "ord_1", "symbol": "SPY", "side": "buy"}


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        (
            "trade.order.submitted",
            {"brokerOrderId": "b", "quantity": 3, "orderType": "limit", "timeInForce": "day",
             "limitPrice": 370, "extendedHours": False, "strategyId": "s"},
        ),
        ("trade.order.submitted", {"type": "market", "quantity": 3, "timeInForce": "day"}),
        ("trade.order.accepted", {}),
    ],
)  # fmt: skip
def test_accepted(event_type: str, payload: dict[str, Any]) -> None:
    assert report(event_type, **ORDER, **payload) == VenueReport(
        venue_order_id="ord_1",
        status=OrderStatus.WORKING,
        source=event_type,
        at=HEARD,  # our clock, not theirs: the fill wait counts from here
        symbol="SPY",
    )


def test_a_fill_of_the_implementation() -> None:
    found = report(
        "trade.order.filled",
        **ORDER,
        quantity=3,
        filledQuantity=3,
        averagePrice=184.15186982413243,
        commission=0,
        filledAt="2025-03-03T15:00:00.000Z",
    )
    assert found.status is OrderStatus.FILLED
    assert found.filled_quantity == 3
    assert found.average_price == Decimal("184.15186982413243")
    assert found.fills == ()


def test_an_average_in_all_its_digits() -> None:
    average = Decimal(1112) / 3  # 370.6666666666666666666666667
    found = report("trade.order.filled", **ORDER, filledQuantity=3, averagePrice=str(average))
    assert found.average_price == average


def test_a_partial_fill_of_the_documents() -> None:
    found = report(
        "trade.order.filled",
        **ORDER,
        brokerOrderId="b",
        filledQuantity=2,
        remainingQuantity=1,
        averagePrice=370.5,
        fillPrice=371,
        commission=0.1,
        isPartial=True,
        filledAt="2025-03-03T15:00:00.100Z",
    )
    assert found.status is OrderStatus.PARTIALLY_FILLED
    # Whether filledQuantity is one fill's or the total is not said: what remains decides.
    assert found.filled_of(Decimal(3)) == 2
    assert found.filled_of(Decimal(9)) == 8
    assert found.average_price == Decimal("370.5")


def test_a_fill_with_its_execution() -> None:
    found = report(
        "trade.order.partial",
        **ORDER,
        clientOrderId="ts-abc",
        executionId="x-1",
        filledQuantity=3,
        fillQuantity=1,
        averagePrice=370.5,
        fillPrice=371,
        commission=0.1,
        filledAt="2025-03-03T16:00:00.100+01:00",
    )
    assert found.status is OrderStatus.PARTIALLY_FILLED
    assert found.client_order_id == "ts-abc"
    assert found.fills == (
        VenueFill(
            cumulative=Decimal(3),
            quantity=Decimal(1),
            price=Decimal(371),
            at=SENT + timedelta(milliseconds=100),
            fee=Decimal("0.1"),
            execution_id="x-1",
        ),
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"rejectionReason": "too poor", "rejectionCode": "INSUFFICIENT_FUNDS"},
         "INSUFFICIENT_FUNDS: too poor"),
        ({"reason": "no", "rejectedAt": "2025-03-03T15:00:00Z"}, "no"),
    ],
)  # fmt: skip
def test_rejected(payload: dict[str, Any], reason: str) -> None:
    found = report("trade.order.rejected", **ORDER, quantity=3, **payload)
    assert (found.status, found.reason) == (OrderStatus.REJECTED, reason)


def test_a_cancel_with_its_quantities_is_an_end() -> None:
    found = report(
        "trade.order.cancelled",
        **ORDER,
        cancelledQuantity=2,
        filledQuantityBeforeCancel=1,
        cancelledBy="user",
        reason="asked",
    )
    assert (found.status, found.filled_quantity) == (OrderStatus.CANCELED, Decimal(1))
    assert found.reason == "asked"


@pytest.mark.parametrize("event_type", ["trade.order.canceled", "trade.order.expired"])
def test_an_end_without_quantities_is_only_news(event_type: str) -> None:
    found = report(event_type, **ORDER, reason="User requested cancellation")
    assert (found.status, found.filled_quantity) == (OrderStatus.WORKING, Decimal(0))


FILL = ORDER | {"filledQuantity": 3, "averagePrice": 370}


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        ("trade.order.filled", FILL | {"orderId": None}),
        ("trade.order.filled", FILL | {"orderId": ""}),
        ("trade.order.filled", FILL | {"orderId": 5}),
        ("trade.order.filled", FILL | {"symbol": ""}),
        ("trade.order.filled", FILL | {"symbol": "S" * 33}),
        ("trade.order.filled", FILL | {"filledQuantity": 0}),
        ("trade.order.filled", FILL | {"filledQuantity": -3}),
        ("trade.order.filled", FILL | {"filledQuantity": "NaN"}),
        ("trade.order.filled", FILL | {"filledQuantity": "Infinity"}),
        ("trade.order.filled", FILL | {"filledQuantity": 1e300}),
        ("trade.order.filled", FILL | {"averagePrice": None}),
        ("trade.order.filled", FILL | {"averagePrice": 0}),
        ("trade.order.filled", FILL | {"averagePrice": 1e-300}),
        ("trade.order.filled", FILL | {"fillPrice": 0}),
        ("trade.order.filled", FILL | {"remainingQuantity": -1}),
        ("trade.order.filled", FILL | {"commission": 1e12}),
        ("trade.order.filled", FILL | {"filledAt": "yesterday"}),
        ("trade.order.filled", FILL | {"executionId": ""}),
        ("trade.order.cancelled", ORDER | {"filledQuantityBeforeCancel": -1}),
        ("trade.order.rejected", {"symbol": "SPY"}),
        ("trade.order.submitted", {"orderId": "ord_1"}),
        ("ai.decision.generated", {"decisionId": "d", "symbol": "S"}),
        ("ai.decision.generated", {"decisionId": "d", "symbol": "S", "action": ""}),
        ("ai.decision.generated", {"symbol": "S", "action": "buy"}),
        ("ai.decision.generated",
         {"decisionId": "d", "symbol": "S", "action": "buy", "confidence": "NaN"}),
        ("ai.decision.generated",
         {"decisionId": "d", "symbol": "S", "action": "buy", "suggestedQuantity": 1e20}),
        ("market.session.changed", {"currentSession": "lunch"}),
        ("market.session.changed", {}),
        ("system.heartbeat", {"status": "healthy"}),
        ("system.error.occurred", {"service": "x"}),
    ],
)  # fmt: skip
def test_a_payload_that_cannot_be_meant(event_type: str, payload: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        decode_event(nested(event_type, **payload), HEARD)


# ---- sessions, health, errors -------------------------------------------------------------------


TYPES = st.sampled_from(
    ["trade.order.filled", "ai.decision.generated", "market.session.changed", "system.heartbeat"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from([*FILL, "decisionId", "action", "confidence", "service", "status"])


@given(body=st.binary() | st.text().map(str.encode))
def test_no_bytes_do_more_than_raise(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_event(body, HEARD)


@given(event_type=TYPES, payload=st.dictionaries(FIELDS, VALUES))
def test_no_payload_does_more_than_raise(event_type: str, payload: dict[str, Any]) -> None:
    try:
        found = decode_event(nested(event_type, **payload), HEARD)
    except Unreadable:
        return
    if isinstance(found.content, OrderReported):
        assert found.content.report.filled_quantity > 0
