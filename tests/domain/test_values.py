"""Ids, money, retries, decisions and the start of a trade."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.domain.trades import DECISION, POLICY, RESERVED, SECOND, START, pending
from tradesaga.domain.decisions import Action, Proposal, is_executable, read_action
from tradesaga.domain.errors import Conflict, Fenced, Invalid, Refused, Rejected, TradesagaError
from tradesaga.domain.ids import (
    DecisionId,
    SagaId,
    client_order_id,
    derived,
    derived_at,
    derived_beside,
    moment_of_order,
)
from tradesaga.domain.money import AMOUNT_MAX, floor_to, is_sane, is_usable, percent_of, to_cents
from tradesaga.domain.orders import OrderStatus, OrderType, Side
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_start import trade_for
from tradesaga.domain.values import changed, quick, written

D = Decimal
SAGA = SagaId(UUID("00000000-0000-8000-8000-0000000000aa"))
"""Of a release whose ids had no moment."""
TIMED = SagaId(UUID("0194a3c0-1234-7000-8000-0000000000aa"))


def test_ids_are_pinned_for_ever() -> None:
    """A release that computed other ids would send orders twice after an upgrade."""
    assert derived("a", 1) == UUID("839e11a4-21d3-80be-a8db-56fde67e9aad")
    assert client_order_id(SAGA, 0, "entry") == "ts-uxr62qv7qjtf272fo2pswprqku"
    assert derived_at(START, "a", 1) == UUID("01a208eb-c980-739e-91a4-21d370be28db")
    assert derived_beside(TIMED, "a", 1) == UUID("0194a3c0-1234-739e-91a4-21d370be28db")
    assert client_order_id(TIMED, 0, "entry") == "ts-01iihs04hk3bni2vee4r8v2eu0"


def test_what_was_begun_without_a_moment_goes_on_without() -> None:
    """All ids of a trade that an older release decided are those that it stored."""
    old = replace(DECISION, id=DecisionId(derived("agent", "decision", "d-1")))
    state = trade_for(old, reserve=RESERVED, now=START, policy=POLICY)
    name = str(derived(old.id, "trade_execution"))
    assert state.saga.id == derived(old.id, "trade_execution")
    assert state.order.id == derived(name, 0, "entry")
    assert state.reservation.id == derived(name, "reservation")
    assert derived_beside(state.order.id, "fill", 1) == derived("fill", 1)


def test_what_comes_of_a_decision_stands_beside_it() -> None:
    decided = [
        replace(DECISION, id=DecisionId(derived_at(START + n * timedelta(milliseconds=1), n)))
        for n in range(40)
    ]
    states = [trade_for(d, reserve=RESERVED, now=START, policy=POLICY) for d in decided]
    for ids in (
        [d.id for d in decided],
        [s.saga.id for s in states],
        [s.order.id for s in states],
        [s.reservation.id for s in states],
        [s.order.client_order_id for s in states],
    ):
        assert ids == sorted(set(ids))  # type: ignore[type-var]  # ids or texts, never both
    assert len({id.int >> 80 for s in states for id in (s.saga.id, s.order.id)}) == len(states)


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=3))
def test_every_moment_makes_an_id(at: datetime, part: str) -> None:
    made = derived_at(at, part)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert made.int >> 80 == max(0, milliseconds)
    assert derived_beside(made, part).int >> 80 == made.int >> 80
    assert derived_at(at, part + "x") != made == derived_at(at, part)


@given(st.uuids(), st.integers(0, 9), st.sampled_from(["entry", "exit"]))
def test_client_order_ids_fit_every_venue(saga: UUID, leg: int, purpose: str) -> None:
    for id in (saga, UUID(int=saga.int & ~(0xF << 76) | 7 << 76)):
        name = client_order_id(SagaId(id), leg, purpose)
        assert len(name) == 29
        assert name.startswith("ts-")
        assert set(name[3:]) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
        assert name == client_order_id(SagaId(id), leg, purpose)


@given(st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- a naive bound
def test_a_client_order_id_tells_when_its_decision_was_made(at: datetime) -> None:
    name = client_order_id(SagaId(derived_at(at, "a")), 0, "entry")
    told = moment_of_order(name)
    assert told is not None
    assert timedelta(0) <= at - told < timedelta(milliseconds=1)


@given(st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=26, max_size=26))
def test_an_id_of_any_letters_tells_a_moment_or_none(letters: str) -> None:
    assert isinstance(moment_of_order(f"ts-{letters}"), datetime | None)
    assert moment_of_order("ts-w" + letters[1:]) is None, "a letter of the former shape alone"


parts = st.lists(
    st.one_of(st.integers(), st.text(st.characters(codec="ascii", exclude_characters="\x1f"))),
    min_size=1,
    max_size=3,
)


@given(parts, parts)
def test_different_parts_make_different_ids(one: list[object], other: list[object]) -> None:
    assume([str(p) for p in one] != [str(p) for p in other])
    assert derived(*one) != derived(*other)
    assert derived(*one).version == 8


@pytest.mark.parametrize("saga", [SAGA, TIMED])
def test_the_leg_and_the_purpose_are_part_of_the_id(saga: SagaId) -> None:
    names = {client_order_id(saga, leg, purpose) for leg in (0, 1) for purpose in ("entry", "exit")}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        (None, False),
        (D(0), False),
        (D(-1), False),
        (D("NaN"), False),
        (D("sNaN"), False),
        (D("Infinity"), False),
        (D("1e9"), False),
        (D("999999999.99"), True),
        (D("0.000000001"), True),
    ],
)
def test_a_usable_number(value: Decimal | None, usable: bool) -> None:
    assert is_usable(value) is usable


def test_an_account_may_hold_more_than_a_price() -> None:
    assert is_usable(D("2e9"), AMOUNT_MAX)
    assert not is_usable(AMOUNT_MAX, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("value", "sane"),
    [
        (D(0), True),
        (D(-5), True),
        (D("1e-40"), True),
        (D("1e-41"), False),
        (D("1e9"), False),
        (D("-1e9"), False),
        (D("NaN"), False),
        (D("-Infinity"), False),
    ],
)
def test_a_sane_number(value: Decimal, sane: bool) -> None:
    assert is_sane(value) is sane


@given(
    st.decimals(0, 10**9, places=6, allow_nan=False),
    st.sampled_from([D(1), D("0.01"), D("0.25"), D(100)]),
)
def test_floor_is_the_greatest_multiple_not_above(value: Decimal, step: Decimal) -> None:
    floored = floor_to(value, step)
    assert floored % step == 0
    assert floored <= value < floored + step


@pytest.mark.parametrize(
    ("value", "cents"),
    [("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02"), ("-1.235", "-1.24")],
)
def test_cents_round_half_to_even(value: str, cents: str) -> None:
    assert to_cents(D(value)) == D(cents)


def test_percent_of() -> None:
    assert percent_of(D("2.5"), D(200)) == D(5)


def test_the_delay_doubles_up_to_its_bound() -> None:
    policy = RetryPolicy(retries_max=3, delay_first=SECOND, delay_max=5 * SECOND)
    assert [policy.delay(n) for n in (1, 2, 3, 4)] == [
        1 * SECOND,
        2 * SECOND,
        4 * SECOND,
        5 * SECOND,
    ]
    assert policy.delay(10_000) == 5 * SECOND
    with pytest.raises(AssertionError):
        policy.delay(0)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("BUY", Action.BUY),
        (" sell ", Action.SELL),
        ("Hold", Action.HOLD),
        ("short", None),
        ("", None),
    ],
)
def test_actions_are_read_in_any_case(word: str, action: Action | None) -> None:
    assert read_action(word) is action


@pytest.mark.parametrize(
    ("action", "quantity", "executable"),
    [
        ("buy", None, True),
        ("sell", D(1), True),
        ("hold", D(1), False),
        ("short", D(1), False),
        ("buy", D(0), False),
        ("buy", D(-1), False),
        ("buy", D("NaN"), False),
    ],
)
def test_what_could_make_an_order(action: str, quantity: Decimal | None, executable: bool) -> None:
    said = Proposal(
        external_id="d",
        symbol="ACME",
        action=action,
        confidence=None,
        reasoning="",
        said_at=START,
        suggested_quantity=quantity,
    )
    assert is_executable(said) is executable


def test_one_decision_makes_one_trade_whoever_makes_it() -> None:
    state = pending()
    later = trade_for(DECISION, reserve=RESERVED, now=START + timedelta(hours=1), policy=POLICY)
    assert (state.saga.id, state.order.id, state.reservation.id) == (
        later.saga.id,
        later.order.id,
        later.reservation.id,
    )
    assert state.order.client_order_id == later.order.client_order_id
    assert (state.saga.status, state.order.status) == (SagaStatus.PENDING, OrderStatus.INTENT)
    assert state.saga.deadline_at == START + 60 * SECOND
    assert (state.order.side, state.order.type) == (Side.BUY, OrderType.MARKET)
    assert (state.order.quantity, state.reservation.amount) == (D(2), D(202))
    assert state.order.expires_at == DECISION.expires_at


def test_entries_and_exits_have_different_client_order_ids() -> None:
    leave = replace(DECISION, action=Action.SELL, opening=False)
    state = trade_for(leave, reserve=D(0), now=START, policy=POLICY)
    assert (state.order.side, state.order.purpose) == (Side.SELL, "exit")
    assert state.order.client_order_id != pending().order.client_order_id


def test_a_hold_never_makes_a_trade() -> None:
    with pytest.raises(AssertionError):
        trade_for(replace(DECISION, action=Action.HOLD), reserve=D(0), now=START, policy=POLICY)


def test_errors_are_classed_by_what_the_caller_does() -> None:
    assert issubclass(Fenced, Conflict)
    assert not issubclass(Refused, Rejected)
    assert Invalid(["a: wrong", "b: missing"]).problems == ("a: wrong", "b: missing")
    assert str(Invalid(["a: wrong", "b: missing"])) == "a: wrong\nb: missing"
    assert Refused("no money", code="FUNDS").code == "FUNDS"
    assert issubclass(Rejected, TradesagaError)


def test_a_changed_copy_is_what_replace_makes() -> None:
    order = pending().order
    other = changed(order, sends=2, status=OrderStatus.WORKING)
    assert other == replace(order, sends=2, status=OrderStatus.WORKING)
    assert type(other) is type(order)
    assert order == pending().order
    with pytest.raises(AttributeError):
        changed(order, quantities=1)


def test_only_a_draft_is_written_on() -> None:
    order = pending().order
    draft = written(order, order, sends=2)
    assert draft is not order
    assert written(draft, order, lookups=3) is draft
    assert (order, draft) == (pending().order, replace(order, sends=2, lookups=3))
    assert type(draft) is type(order)
    with pytest.raises(FrozenInstanceError):
        draft.sends = 4  # type: ignore[misc]  # what is tried
    with pytest.raises(AttributeError):
        written(draft, order, quantities=1)
    assert type(draft) is type(order), "also when a change is refused"


def test_a_quick_value_is_made_as_any_other() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        name: str
        number: int = 1

    quickened = quick(Plain)
    assert quickened is Plain
    assert (
        quickened(name="a")
        == quickened(number=1, name="a")
        == replace(quickened(name="b"), name="a")
    )
    assert hash(quickened(name="a")) == hash(quickened(name="a"))
    for wrong in ({}, {"name": "a", "size": 1}):
        with pytest.raises(TypeError):
            quickened(**wrong)  # type: ignore[arg-type]  # what is tried
    with pytest.raises(FrozenInstanceError):
        quickened(name="a").number = 2  # type: ignore[misc]  # what is tried


def test_what_is_made_anew_for_each_value_is_shared_by_none() -> None:
    @quick
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Listing:
        names: list[str] = field(default_factory=list)
        size: int = 1

    given = ["a"]
    assert Listing(names=given).names is given
    assert Listing().names == Listing(size=2).names == []
    assert Listing().names is not Listing().names
