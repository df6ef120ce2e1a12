"""The approval machine: bound to its order, used once, ended by time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import SECOND, START, begun
from tradesaga.domain import approval as machine
from tradesaga.domain.approval import TIME_MAX, Approval, ApprovalState
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.orders import Order, OrderType, Side

S = ApprovalState
ORDER = begun().order
SETTINGS = "c0f1"
WAITING = machine.asked(ORDER, SETTINGS, START, None)
OTHERS: dict[str, object] = {
    "symbol": "BOLT",
    "side": Side.SELL,
    "quantity": Decimal("2.000001"),
    "type": OrderType.LIMIT,
    "limit_price": Decimal(100),
    "time_in_force": "gtc",
    "strategy_id": StrategyId(UUID(int=77)),
}


def consume(
    approval: Approval = WAITING,
    order: Order = ORDER,
    *,
    settings: str = SETTINGS,
    seconds: int = 1,
) -> Approval:
    now = START + seconds * SECOND
    return machine.consumed(approval, order, settings, by="ann", reason="good", now=now)


def test_an_approval_of_the_very_order_is_used_up_with_name_and_reason() -> None:
    done = consume()
    assert (done.state, done.decided_by, done.reason) == (S.CONSUMED, "ann", "good")
    assert (done.version, done.decided_at) == (2, START + SECOND)


@pytest.mark.parametrize("name", OTHERS)
def test_an_order_that_differs_in_any_field_is_refused(name: str) -> None:
    with pytest.raises(IllegalTransition, match="another order"):
        consume(order=replace(ORDER, **{name: OTHERS[name]}))  # type: ignore[arg-type]  # by name


def test_other_settings_are_refused() -> None:
    with pytest.raises(IllegalTransition, match="other settings"):
        consume(settings="c0f2")


@given(
    st.lists(st.sampled_from(sorted(OTHERS)), unique=True),
    st.decimals("0.000001", "1000000", places=6),
    st.integers(0, 6),
)
def test_a_digest_is_equal_only_for_equal_orders(
    names: list[str], quantity: Decimal, zeros: int
) -> None:
    changed = replace(ORDER, **{name: OTHERS[name] for name in names})  # type: ignore[arg-type]  # by name
    one = replace(changed, quantity=quantity)
    padded = replace(one, quantity=quantity.quantize(Decimal(10) ** -(6 + zeros)))
    assert machine.digest_of(one, "") == machine.digest_of(padded, ""), "2 is 2.00"
    equal = not names and quantity == ORDER.quantity
    assert (machine.digest_of(one, "") == machine.digest_of(ORDER, "")) is equal


@pytest.mark.parametrize("state", [S.CONSUMED, S.DENIED, S.EXPIRED])
def test_what_has_ended_is_never_used(state: ApprovalState) -> None:
    ended = replace(WAITING, state=state)
    with pytest.raises(IllegalTransition, match=f"is {state}"):
        consume(ended)
    with pytest.raises(IllegalTransition, match=f"is {state}"):
        machine.denied(ended, by="ann", reason="no", now=START)


def test_its_time_is_a_quarter_of_an_hour_and_ends_sharply() -> None:
    assert WAITING.expires_at == START + timedelta(minutes=15)
    assert consume(seconds=15 * 60 - 1).state is S.CONSUMED
    with pytest.raises(IllegalTransition, match="ended at"):
        consume(seconds=15 * 60)


def test_the_end_of_the_session_comes_first_if_it_is_sooner() -> None:
    close = START + SECOND
    assert machine.asked(ORDER, SETTINGS, START, close).expires_at == close
    later = START + 2 * TIME_MAX
    assert machine.asked(ORDER, SETTINGS, START, later).expires_at == START + TIME_MAX
