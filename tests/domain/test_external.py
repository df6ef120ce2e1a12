"""Whose an order seems to be, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from tradesaga.domain import external
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.ids import DEFAULT_AGENT, SagaId, client_order_id, derived, derived_at

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
ORDER = ExternalOrder(
    id=external.identity(DEFAULT_AGENT, "ord_1"),
    agent_id=DEFAULT_AGENT,
    venue_order_id="ord_1",
    client_order_id=None,
    symbol="SPY",
    side=None,
    quantity=None,
    filled_quantity=Decimal(1),
    type=None,
    limit_price=None,
    decision_id=None,
    kind=ExternalKind.EXTERNAL,
    state=ExternalState.OPEN,
    placed_at=None,
    seen_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (None, ExternalKind.EXTERNAL),
        ("", ExternalKind.EXTERNAL),
        ("by-hand", ExternalKind.EXTERNAL),
        ("ts-abc", ExternalKind.EXTERNAL),
        ("ts-" + "A" * 26, ExternalKind.EXTERNAL),
        ("xx-" + "a" * 26, ExternalKind.EXTERNAL),
        ("ts-" + "a" * 27, ExternalKind.EXTERNAL),
        (client_order_id(SagaId(UUID(int=1)), 0, "entry"), ExternalKind.STRAY),
        (client_order_id(SagaId(derived("a")), 1, "exit"), ExternalKind.STRAY),
        (client_order_id(SagaId(derived_at(NOW, "a")), 0, "entry"), ExternalKind.STRAY),
    ],
)
def test_an_id_of_our_shape_is_a_stray(name: str | None, kind: ExternalKind) -> None:
    assert external.kind_of(name) is kind


def test_one_of_ours_from_before_is_forgotten() -> None:
    name = client_order_id(SagaId(derived_at(NOW, "a")), 0, "entry")
    later = NOW + timedelta(milliseconds=1)
    assert external.kind_of(name, since=later) is ExternalKind.FORGOTTEN
    assert external.kind_of(name, since=NOW) is ExternalKind.STRAY
    assert external.kind_of("by-hand", since=later) is ExternalKind.EXTERNAL
    old = client_order_id(SagaId(UUID("00000000-0000-8000-8000-0000000000aa")), 0, "entry")
    assert external.kind_of(old, since=later) is ExternalKind.STRAY, "it tells no moment"


def test_its_decision_is_kept_from_whoever_told_it_first() -> None:
    gone = external.seen_again(ORDER, state=ExternalState.GONE, filled=Decimal(1), now=NOW)
    told = external.seen_again(
        gone, state=gone.state, filled=Decimal(1), now=NOW, decision_id="dec_1"
    )
    assert (told.decision_id, told.version) == ("dec_1", gone.version + 1)
    for other in (None, "dec_2", "dec_1"):
        again = external.seen_again(
            told, state=told.state, filled=Decimal(1), now=NOW, decision_id=other
        )
        assert again is told


def test_what_has_not_changed_is_the_same_value() -> None:
    again = external.seen_again(ORDER, state=ORDER.state, filled=Decimal(1), now=NOW)
    assert again is ORDER
    fewer = external.seen_again(ORDER, state=ORDER.state, filled=Decimal(0), now=NOW)
    assert fewer is ORDER, "fills never become fewer"


def test_it_goes_and_may_come_back() -> None:
    later = NOW + timedelta(seconds=1)
    gone = external.seen_again(ORDER, state=ExternalState.GONE, filled=Decimal(1), now=later)
    assert (gone.ended_at, gone.version) == (later, 2)
    back = external.seen_again(gone, state=ExternalState.OPEN, filled=Decimal(2), now=later)
    assert (back.ended_at, back.filled_quantity, back.version) == (None, Decimal(2), 3)


def test_what_never_moved_anything_does_not_matter() -> None:
    assert ORDER.matters
    ended = replace(ORDER, state=ExternalState.GONE)
    assert ended.matters
    assert not replace(ended, filled_quantity=Decimal(0)).matters
