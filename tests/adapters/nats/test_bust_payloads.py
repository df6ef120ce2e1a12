"""Events about executions that are taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.nats.conftest import nested
from tests.adapters.nats.test_payloads import HEARD, ORDER, report
from tradesaga.adapters.nats.envelope import Unreadable
from tradesaga.adapters.nats.payloads import decode_event

BUST = ORDER | {"cumulativeQuantity": 3, "quantity": 2, "price": 371, "filledQuantity": 1}


def test_a_bust_names_its_execution_and_tells_it_too() -> None:
    found = report(
        "trade.order.busted",
        **BUST, executionId="x-2", bustedQuantity=2, commission=0.2, reason="exchange",
    )  # fmt: skip
    assert found.filled_quantity == 3
    assert (found.fills[0].cumulative, found.fills[0].price) == (Decimal(3), Decimal(371))
    (bust,) = found.busts
    assert (bust.cumulative, bust.quantity, bust.price) == (Decimal(3), Decimal(2), Decimal(371))
    assert (bust.fee, bust.reason) == (Decimal("0.2"), "exchange")


def test_what_was_taken_back_stays_counted_in_later_fills() -> None:
    found = report(
        "trade.order.filled",
        **ORDER, filledQuantity=2, bustedQuantity=2, averagePrice=370, fillPrice=372,
        fillQuantity=1, remainingQuantity=5,
    )  # fmt: skip
    assert found.filled_of(Decimal(9)) == 4
    assert found.fills[0].cumulative == 4


@pytest.mark.parametrize(
    "payload", [BUST | {"quantity": 0}, BUST | {"price": -1}, BUST | {"filledQuantity": None}]
)
def test_a_bust_that_cannot_be_meant(payload: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        decode_event(nested("trade.order.busted", **payload), HEARD)
