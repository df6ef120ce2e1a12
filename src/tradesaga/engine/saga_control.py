"""What an operator asks about trades, done: the implementation of `ports.saga_operations`.

A person's word goes the way of every happening, through the desk: one commit with the transitions
and an audit entry. The commit wakes the saga's runner, which goes on as after any news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from structlog import get_logger

from tradesaga.domain.decisions import Denial
from tradesaga.domain.errors import (
    Fenced,
    IllegalTransition,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
)
from tradesaga.domain.external import ExternalOrder, ExternalState
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.instructions import Origin
from tradesaga.domain.orders import Order
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import (
    Intervention,
    Resolution,
    Resolved,
    Resumed,
    TradeState,
    TurnedBack,
)
from tradesaga.engine.instructed_trades import InstructedTrades
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.identity import IdSource
from tradesaga.ports.records import PositionSums, Records
from tradesaga.ports.saga_operations import SymbolLock
from tradesaga.ports.services import AmbiguousMatch, TradingEngine
from tradesaga.ports.trade_records import Place, TradeQuery, TradeRecord

log = get_logger()


class SagaControl:
    """Views of all trades, and commands on those that this node holds open."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        records: Records,
        desk: TradeDesk,
        venue: TradingEngine,
        instructed: InstructedTrades,
        ids: IdSource,
    ) -> None:
        self._agent_id = agent_id
        self._records = records
        self._desk = desk
        self._venue = venue
        self._instructed = instructed
        self._ids = ids

    async def trades(self, query: TradeQuery) -> Sequence[TradeState]:
        """See `ports.saga_operations`."""
        return await self._records.trades(self._agent_id, query)

    async def trade(self, saga_id: SagaId) -> TradeRecord:
        """See `ports.saga_operations`."""
        record = await self._records.trade(self._agent_id, saga_id)
        if record is None:
            raise NotFound(f"there is no saga {saga_id}; `GET /api/v1/sagas` lists them")
        return record

    async def positions(self) -> Sequence[PositionSums]:
        """See `ports.saga_operations`."""
        return await self._records.positions(self._agent_id)

    async def locks(self) -> Sequence[SymbolLock]:
        """See `ports.saga_operations`."""
        if not self._desk.recovered:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")
        return sorted(self._desk.locks(), key=lambda lock: (lock.symbol, lock.since))

    async def external_orders(
        self,
        *,
        limit: int,
        state: ExternalState | None,
        symbol: str | None,
        after: Place | None = None,
    ) -> Sequence[ExternalOrder]:
        """See `ports.saga_operations`."""
        return await self._records.external_orders(
            self._agent_id, limit=limit, state=state, symbol=symbol, after=after
        )

    async def close_position(self, symbol: str, *, reason: str, actor: str) -> Sequence[TradeState]:
        """See `ports.saga_operations`."""
        try:
            done = await self._instructed.close_position(
                symbol,
                origin=Origin.OPERATOR,
                key=str(self._ids.uuid7(f"close {symbol}")),
                reason=reason,
                actor=actor,
            )
        except Fenced as error:
            raise Unavailable("the agent was stopped or taken over meanwhile; ask again") from error
        begun = [one.trade.state for one in done if one.trade is not None]
        if not begun:
            raise _refusal_to_close(symbol, [d for one in done for d in one.decision.denials])
        for one in begun:
            log.warning(
                "a person closes a position", **ids_of(one.order), symbol=symbol, actor=actor,
                reason=reason,
            )  # fmt: skip
        return begun

    async def retry(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        """See `ports.saga_operations`."""
        return await self._told(await self._open(saga_id), Resumed(reason=reason), actor)

    async def compensate(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        """See `ports.saga_operations`."""
        return await self._told(await self._open(saga_id), TurnedBack(reason=reason), actor)

    async def resolve(
        self,
        saga_id: SagaId,
        resolution: Resolution,
        *,
        reason: str,
        actor: str,
        venue_order_id: str | None = None,
    ) -> TradeRecord:
        """See `ports.saga_operations`."""
        _must_fit(resolution, venue_order_id)
        trade = await self._open(saga_id)
        # Only a saga that waits is worth asking the venue about; booking decides once more.
        waits = trade.state.saga.status is SagaStatus.MANUAL_REQUIRED
        if venue_order_id is not None and waits:
            await self._must_be_free(trade.state.order, venue_order_id)
        told = Resolved(
            resolution=resolution, reason=reason, by=actor, venue_order_id=venue_order_id
        )
        return await self._told(trade, told, actor)

    async def _open(self, saga_id: SagaId) -> OpenTrade:
        trade = self._desk.trades.of(saga_id)
        if trade is not None:
            return trade
        saga = (await self.trade(saga_id)).state.saga
        if saga.status in ENDS:
            raise IllegalTransition(f"saga {saga_id} is {saga.status}: that is its end")
        raise Unavailable("the orchestrator is starting, or another node holds the agent")

    async def _told(self, trade: OpenTrade, happened: Intervention, actor: str) -> TradeRecord:
        saga_id = trade.state.saga.id
        try:
            await self._desk.book(trade, happened, actor=actor)
        except Fenced as error:
            raise Unavailable("another node has taken over the agent; ask again") from error
        log.warning(
            "a person has intervened", **ids_of(trade.state.order), actor=actor,
            reason=happened.reason, status=trade.state.saga.status,
        )  # fmt: skip
        return await self.trade(saga_id)

    async def _must_be_free(self, order: Order, venue_order_id: str) -> None:
        """Refuse an id that the venue does not know, or that another saga's order has."""
        owner = await self._records.trade_of(
            self._agent_id, venue_order_id=venue_order_id, client_order_id=None
        )
        if owner is not None and owner.order.id != order.id:
            raise Invalid([f"venueOrderId {venue_order_id} belongs to saga {owner.saga.id}"])
        asked = replace(order, venue_order_id=venue_order_id)
        try:
            report = await self._venue.look_up(asked)
        except (AmbiguousMatch, Refused) as error:
            raise Invalid([f"venueOrderId {venue_order_id}: {error}"]) from error
        if report is None:
            raise Invalid([f"the venue knows no order {venue_order_id}"])


def _refusal_to_close(symbol: str, denials: Sequence[Denial]) -> IllegalTransition:
    if not denials:
        return IllegalTransition(f"nothing of {symbol} is held that no open order closes already")
    why = "; ".join(f"{denial.code}: {denial.message}" for denial in denials)
    return IllegalTransition(f"the close of {symbol} is denied: {why}", allowed=("repeat",))


def _must_fit(resolution: Resolution, venue_order_id: str | None) -> None:
    adopts = resolution is Resolution.ADOPT
    if adopts and not venue_order_id:
        raise Invalid(["venueOrderId is missing: adopt takes the id that the venue gave the order"])
    if not adopts and venue_order_id is not None:
        raise Invalid([f"venueOrderId belongs to adopt, not to {resolution}"])
