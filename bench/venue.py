"""A venue inside the process that fills everything at once: what is left is our own cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from tradesaga.domain.orders import Order, OrderStatus, VenueFill, VenueReport
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import Account, Capabilities, Health, OpenOrder, VenuePosition

PRICE = Decimal("370.01")


class InstantVenue:
    """Accepts every order and reports it filled in the same answer; a look-up says the same.

    `sent` holds when each order came, by client order id, while somebody asks for it.
    """

    capabilities = Capabilities(
        dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=1)
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: dict[str, float] | None = None

    async def submit(self, order: Order) -> VenueReport:
        if self.sent is not None:
            self.sent[order.client_order_id] = time.perf_counter()
        return self._filled(order)

    async def look_up(self, order: Order) -> VenueReport | None:
        return self._filled(order)

    def _filled(self, order: Order) -> VenueReport:
        now = self._clock.now()
        fill = VenueFill(cumulative=order.quantity, quantity=order.quantity, price=PRICE, at=now)
        return VenueReport(
            venue_order_id=order.client_order_id[::-1],  # in no order, like many a venue's
            status=OrderStatus.FILLED,
            source="reply",
            at=now,
            filled_quantity=order.quantity,
            fills=(fill,),
        )

    async def cancel(self, venue_order_id: str) -> None:
        raise AssertionError("an instant answer leaves nothing to cancel")

    async def account(self) -> Account:
        raise NotImplementedError

    async def positions(self) -> Sequence[VenuePosition]:
        raise NotImplementedError

    async def open_orders(self) -> Sequence[OpenOrder]:
        raise NotImplementedError

    async def health(self) -> Health:
        return Health.HEALTHY
