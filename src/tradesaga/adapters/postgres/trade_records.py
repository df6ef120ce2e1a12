"""Readers of trades on Postgres: implements `ports.trade_records.TradeRecords`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tradesaga.adapters.postgres.decoding import Row, read_trade, reader
from tradesaga.adapters.postgres.queries import QUERIES, load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.external import ExternalOrder, ExternalState
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.orders import Fill
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.saga_log import told
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.trade_records import LAST, LoggedStep, Place, TradeQuery, TradeRecord

TRADES_MAX: Final = 1001
LOG_SLACK: Final = timedelta(minutes=1)
"""How much later than the saga's last change an entry about that change may have been dated."""
_OPEN: Final = frozenset(SagaStatus) - ENDS
_SQL: Final = {name: query.sql for name, query in load("trades").items()}
_entry, _fill, _external = reader(LoggedStep), reader(Fill), reader(ExternalOrder)


class PostgresTradeRecords:
    """Implements `ports.trade_records.TradeRecords`."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def trades(self, agent_id: AgentId, query: TradeQuery) -> Sequence[TradeState]:
        """The latest by creation first; an index serves each way to ask for few of many."""
        assert 1 <= query.limit <= TRADES_MAX, query
        if query.cycle_id is not None:
            rows = await self._pool.fetch(_SQL["trades_of_cycle"], agent_id, query.cycle_id)
            return _narrowed(map(read_trade, rows), query)
        if query.sagas is not None and query.sagas <= _OPEN:
            rows = await self._pool.fetch(QUERIES["open_trades"], agent_id)
            return _narrowed(map(read_trade, rows), query)
        rows = await self._pool.fetch(
            _SQL["latest_trades"],
            agent_id,
            None if query.sagas is None else sorted(query.sagas),
            None if query.orders is None else sorted(query.orders),
            query.symbol,
            *(query.after or LAST),
            query.limit,
        )
        return [read_trade(row) for row in rows]

    async def trade(self, agent_id: AgentId, saga_id: SagaId) -> TradeRecord | None:
        """One trade, whole, on one snapshot."""
        async with self._pool.snapshot() as connection:
            rows = await connection.fetch(_SQL["trade_of_saga"], agent_id, saga_id)
            if not rows:
                return None
            state = read_trade(rows[0])
            begun = state.saga.created_at
            booked = await connection.fetch(_SQL["fills_of_saga"], agent_id, saga_id, begun)
            fills = [_fill(row) for row in booked]
            ended = max(
                state.saga.updated_at,
                state.order.ended_at or begun,
                *(fill.recorded_at for fill in fills),
            )
            window = begun - LOG_SLACK, ended + LOG_SLACK
            logged = await connection.fetch(_SQL["log_of_saga"], agent_id, str(saga_id), *window)
        return TradeRecord(state=state, fills=fills, steps=[*_told(logged)])

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
        assert 1 <= limit <= TRADES_MAX, limit
        asked = agent_id, venue_order_id, state, symbol, *(after or LAST), limit
        rows = await self._pool.fetch_together(_SQL["external_orders"], *asked)
        return [_external(row) for row in rows]


def _told(logged: Iterable[Row]) -> Iterator[LoggedStep]:
    for entry in map(_entry, logged):
        for kind, body in told(entry.kind, entry.body):
            yield replace(entry, kind=kind, body=body)


def _narrowed(trades: Iterable[TradeState], query: TradeQuery) -> list[TradeState]:
    found = [trade for trade in trades if query.admits(trade)]
    found.sort(key=lambda trade: (trade.saga.created_at, trade.saga.id), reverse=True)
    return found[: query.limit]
