"""Orders on our account that are not ours: kept, never touched.

    seen in the venue's list, or heard of --> open --> gone (filled, cancelled, expired: not asked)
                                                   +-> ours (a saga of ours has adopted it)

An order that bears an id of our shape and that our journal does not know is a STRAY: something
sends in our name. One from before this holder of the lease began is FORGOTTEN: it was ours once,
and our journal is older than what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.ids import (
    AgentId,
    ExternalOrderId,
    derived,
    is_client_order_id,
    moment_of_order,
)
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Side


class ExternalKind(StrEnum):
    """Whose it seems to be."""

    EXTERNAL = "external"
    STRAY = "stray"
    FORGOTTEN = "forgotten"


class ExternalState(StrEnum):
    """Whether the venue may still fill it."""

    OPEN = "open"
    GONE = "gone"
    OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalOrder:
    """One such order as it was last seen; None is what nobody told.

    `warned_at` is when the ladder was told of it, None while it has not been.
    """

    id: ExternalOrderId
    agent_id: AgentId
    venue_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side | None
    quantity: Decimal | None
    filled_quantity: Decimal
    type: str | None
    limit_price: Decimal | None
    decision_id: str | None
    kind: ExternalKind
    state: ExternalState
    placed_at: datetime | None
    seen_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    warned_at: datetime | None = None
    version: int = 1

    @property
    def matters(self) -> bool:
        """Whether it can move, or has moved, what the account holds."""
        return self.state is ExternalState.OPEN or self.filled_quantity > ZERO


def identity(agent_id: AgentId, venue_order_id: str) -> ExternalOrderId:
    """The id under which it is stored."""
    return ExternalOrderId(derived(agent_id, "external", venue_order_id))


def kind_of(client_order_id: str | None, *, since: datetime | None = None) -> ExternalKind:
    """What an order is that our journal does not know.

    STRAY for an id of our shape; FORGOTTEN if that was made before `since`, when this holder of the
    lease began with books that others had written in.
    """
    if client_order_id is None or not is_client_order_id(client_order_id):
        return ExternalKind.EXTERNAL
    made = moment_of_order(client_order_id)
    is_former = since is not None and made is not None and made < since
    return ExternalKind.FORGOTTEN if is_former else ExternalKind.STRAY


def seen_again(
    order: ExternalOrder,
    *,
    state: ExternalState,
    filled: Decimal,
    now: datetime,
    decision_id: str | None = None,
) -> ExternalOrder:
    """As it is now; the same value if nothing has changed. Fills never become fewer.

    `decision_id` is kept from whoever told it first: the news of a fill does not name it, and may
    come before the one that does.
    """
    filled, decision_id = max(filled, order.filled_quantity), order.decision_id or decision_id
    if (state, filled, decision_id) == (order.state, order.filled_quantity, order.decision_id):
        return order
    return replace(
        order,
        state=state,
        filled_quantity=filled,
        decision_id=decision_id,
        updated_at=now,
        ended_at=None if state is ExternalState.OPEN else order.ended_at or now,
        version=order.version + 1,
    )


def warned(order: ExternalOrder, now: datetime) -> ExternalOrder:
    """The ladder has been told of it."""
    return replace(order, warned_at=now, updated_at=now, version=order.version + 1)
