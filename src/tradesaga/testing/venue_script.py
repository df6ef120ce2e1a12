"""What a scripted venue does with one call, and the orders in its books."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import ENDED, Order, OrderStatus, VenueBust, VenueFill
from tradesaga.ports.services import OpenOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OnSubmit:
    """What becomes of one submit.

    `fills` are executed at once, in turn; None means the whole order. `price` is that of the
    fills (default: the venue's price of the symbol). `in_reply` is whether the reply tells of
    them. `refuse` is the code of a refusal. `lost` raises Unavailable, after the act unless
    `before`. `hidden` is how long look-ups do not see the order.
    """

    fills: tuple[Decimal, ...] | None = None
    price: Decimal | None = None
    in_reply: bool = True
    refuse: str = ""
    lost: bool = False
    before: bool = False
    hidden: timedelta = timedelta(0)


FILL = OnSubmit()
ACCEPT = OnSubmit(fills=())
LOSE_ANSWER = OnSubmit(lost=True)
FAIL_BEFORE = OnSubmit(lost=True, before=True)


def fill_partly(*quantities: Decimal | int | str) -> OnSubmit:
    """Accept, and execute just these quantities at once."""
    return OnSubmit(fills=tuple(Decimal(quantity) for quantity in quantities))


def refuse(code: str = "INSUFFICIENT_FUNDS") -> OnSubmit:
    """Refuse in so many words."""
    return OnSubmit(refuse=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCancel:
    """What becomes of one cancel request.

    `fill_first` is executed before it (the race that a cancel can lose). `pending` leaves the
    verdict to `settle_cancel`. `ignored` takes no notice of it. `lost` raises Unavailable.
    """

    fill_first: Decimal = ZERO
    pending: bool = False
    ignored: bool = False
    lost: bool = False


ARRIVAL_TIME_MAX = timedelta(minutes=5)
"""Nothing is sent after an order's `expires_at`; what came later still is somebody else's."""
CANCEL = OnCancel()
CANCEL_LATER = OnCancel(pending=True)
CANCEL_UNANSWERED = OnCancel(lost=True)


@dataclass(slots=True, kw_only=True)
class VenueOrder:
    """An order in the books of the venue."""

    id: str
    order: Order
    created_at: datetime
    visible_at: datetime
    status: OrderStatus = OrderStatus.WORKING
    fills: list[VenueFill] = field(default_factory=list)
    busts: list[VenueBust] = field(default_factory=list)
    cancel_pending: bool = False
    known_to_caller: bool = False

    @property
    def filled(self) -> Decimal:
        """The cumulative quantity, what was taken back included."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def kept(self) -> Decimal:
        """What is left of it."""
        return self.filled - sum((bust.quantity for bust in self.busts), ZERO)

    @property
    def remaining(self) -> Decimal:
        """What can still be executed."""
        return ZERO if self.status in ENDED else self.order.quantity - self.filled

    @property
    def value(self) -> Decimal:
        """Quantity times price over the fills that are left."""
        bought = sum((fill.quantity * fill.price for fill in self.fills), ZERO)
        return bought - sum((bust.quantity * bust.price for bust in self.busts), ZERO)

    def take_back(self, fill: VenueFill) -> None:
        """Bust one execution."""
        self.busts.append(
            VenueBust(
                cumulative=fill.cumulative,
                quantity=fill.quantity,
                price=fill.price,
                fee=fill.fee,
                reason="busted by the exchange",
            )
        )


def same_traits(placed: VenueOrder, order: Order) -> bool:
    """Whether the placed order could be `order`, as a venue without client order ids shows it."""
    theirs = placed.order
    return (
        (theirs.symbol, theirs.side, theirs.quantity, theirs.type, theirs.limit_price)
        == (order.symbol, order.side, order.quantity, order.type, order.limit_price)
    ) and order.created_at <= placed.created_at <= order.expires_at + ARRIVAL_TIME_MAX


def listed(placed: VenueOrder, *, keeps_ids: bool) -> OpenOrder:
    """The order as one of the venue's list of open ones."""
    order = placed.order
    return OpenOrder(
        venue_order_id=placed.id,
        client_order_id=order.client_order_id if keeps_ids else None,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        filled_quantity=placed.kept,
        limit_price=order.limit_price,
        created_at=placed.created_at,
    )
