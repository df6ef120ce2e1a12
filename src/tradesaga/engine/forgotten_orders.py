"""Orders that the books have forgotten, fetched from the venue once the books are in doubt.

What is still open is found by each comparison; what has ended is asked for here alone, once for
each doubt, and kept as an order that is not ours any more: its fills are on the account, and show
as drift. Nothing is booked and nothing is sent: what is to be done is for the person who re-arms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from structlog import get_logger

from tradesaga.domain.errors import Transient
from tradesaga.domain.ids import AgentId, is_client_order_id
from tradesaga.domain.ladder import Cause
from tradesaga.engine.external_orders import ExternalOrders
from tradesaga.ports.records import Records
from tradesaga.ports.services import OpenOrder, OrderHistory

log = get_logger()
AT_ONCE_MAX: Final = 200
"""Orders looked up in one comparison; the rest is for the next."""


@dataclass(slots=True, kw_only=True)
class ForgottenOrders:
    """Of one agent; without a history nothing is asked."""

    agent_id: AgentId
    history: OrderHistory | None
    records: Records
    strangers: ExternalOrders
    _asked_for: datetime | None = field(default=None, init=False)
    _left: list[OpenOrder] = field(default_factory=list, init=False)

    async def run_once(self) -> int:
        """Fetch some of them while the books are in doubt; how many were imported.

        A venue without an answer is for the next time. Raises Unavailable of the database, Fenced.
        """
        doubt = self.strangers.ladder.ladder.standing(Cause.BOOKS_IN_DOUBT)
        if self.history is None or doubt is None:
            return 0
        if self._asked_for != doubt.since:
            try:
                ended = await self.history.ended_orders()
            except Transient as error:
                log.warning("forgotten orders are not known", error=str(error))
                return 0
            self._left = [one for one in ended if is_client_order_id(one.client_order_id or "")]
            self._asked_for = doubt.since
        number = 0
        for _ in range(min(AT_ONCE_MAX, len(self._left))):
            number += await self._import(self._left[-1])
            self._left.pop()
        if number:
            log.error("orders that the books had forgotten", number=number)
        return number

    async def _import(self, order: OpenOrder) -> bool:
        ours = await self.records.trade_of(
            self.agent_id,
            venue_order_id=order.venue_order_id,
            client_order_id=order.client_order_id,
        )
        return ours is None and await self.strangers.import_ended(order)
