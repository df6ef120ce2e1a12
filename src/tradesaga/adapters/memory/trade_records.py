"""Readers of trades over the store of `adapters.memory.journal`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.domain.external import ExternalOrder, ExternalState
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.orders import Fill, Order, Reservation, Void
from tradesaga.domain.saga import Saga
from tradesaga.domain.saga_log import told
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.trade_records import LAST, LoggedStep, Place, TradeQuery, TradeRecord

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class MemoryTradeRecords:
    """Implements `ports.trade_records.TradeRecords`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def trades(self, agent_id: AgentId, query: TradeQuery) -> Sequence[TradeState]:
        """The latest by creation first."""
        found = [trade for trade in self._trades(agent_id) if query.admits(trade)]
        found.sort(key=lambda trade: (trade.saga.created_at, trade.saga.id), reverse=True)
        return found[: query.limit]

    async def trade(self, agent_id: AgentId, saga_id: SagaId) -> TradeRecord | None:
        """One trade, whole."""
        found = [trade for trade in self._trades(agent_id) if trade.saga.id == saga_id]
        if not found:
            return None
        fills = [fill for fill in self._store.of(Fill, agent_id) if fill.saga_id == saga_id]
        return TradeRecord(
            state=found[0],
            fills=sorted(fills, key=lambda fill: (fill.recorded_at, fill.venue_fill_id)),
            steps=[
                LoggedStep(
                    sequence=line.seq,
                    kind=kind,
                    actor=line.entry.actor,
                    at=line.at,
                    epoch=line.epoch,
                    body=body,
                )
                for line in self._store.log_of(agent_id)
                if line.entry.subject == str(saga_id)
                for kind, body in told(line.entry.kind, stored_body(line.entry.body))
            ],
        )

    async def external_orders(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        venue_order_id: str | None = None,
        state: ExternalState | None = None,
        symbol: str | None = None,
        after: Place | None = None,
    ) -> Sequence[ExternalOrder]:
        """Orders that are not ours, the latest seen first."""
        found = [
            order
            for order in self._store.of(ExternalOrder, agent_id)
            if venue_order_id in (None, order.venue_order_id)
            and state in (None, order.state)
            and symbol in (None, order.symbol)
            and (order.seen_at, order.id) < (after or LAST)
        ]
        return sorted(found, key=lambda order: (order.seen_at, order.id), reverse=True)[:limit]

    def _trades(self, agent_id: AgentId) -> Iterator[TradeState]:
        orders = {order.saga_id: order for order in self._store.of(Order, agent_id)}
        reserved = {held.saga_id: held for held in self._store.of(Reservation, agent_id)}
        voids = self._store.of(Void, agent_id)
        for saga in self._store.of(Saga, agent_id):
            if saga.id in orders and saga.id in reserved:
                yield TradeState(
                    saga=saga,
                    order=orders[saga.id],
                    reservation=reserved[saga.id],
                    voids=tuple(void for void in voids if void.saga_id == saga.id),
                )


def stored_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body as the log gives it back: exact numbers are text there."""
    return _decode(_encode(body))
