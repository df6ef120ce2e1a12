"""Closes what a deactivated strategy holds: durable, tried again, and given up to a person.

That the positions are to be closed stands in the strategy's row, so a new process goes on. Each
try closes every symbol that the strategy holds by sagas of its own, waits for them, and looks
again. While the market is closed or the agent is stopped nothing is tried and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from structlog import get_logger

from tradesaga.domain import strategies as machine
from tradesaga.domain.errors import Fenced, TradesagaError
from tradesaga.domain.instructions import Origin
from tradesaga.domain.money import ZERO
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.instructed_trades import Instructed, InstructedTrades
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import ErrorType, Metrics

log = get_logger()
RETRY_TIME = timedelta(seconds=5)
ACTOR = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyExits:
    """One loop for all strategies of the agent."""

    book: StrategyBook
    state: AgentState
    desk: TradeDesk
    instructed: InstructedTrades
    market: MarketGate
    clock: Clock
    metrics: Metrics

    async def run(self) -> None:
        """Close what is to be closed, for ever. Raises Fenced when the lease has passed on."""
        while True:
            closing = [s for s in self.book.known() if s.closing_at is not None]
            if not closing:
                self.book.closing.clear()
                await self.book.closing.wait()
                continue
            if self.state.runs() and self.market.is_open(self.clock.now()):
                for strategy in closing:
                    await self.close(strategy)
            await self.clock.sleep_until(self.clock.now() + RETRY_TIME)

    async def close(self, strategy: Strategy) -> None:
        """One try; what came of it is committed."""
        reason = ""
        if symbols := held_by(self.desk, strategy):
            try:
                reason = await self._try(strategy, symbols)
            except Fenced:
                raise
            except TradesagaError as error:
                reason = str(error)
        now = self.clock.now()
        if held_by(self.desk, strategy):
            why = reason or "the orders are not filled yet"
            after = await self.book.change(
                str(strategy.id),
                "close_failed",
                lambda s: machine.close_failed(s, why, now) if s.closing_at else s,
                actor=ACTOR,
            )
            if after.close_failure:
                self.metrics.error_occurred(ErrorType.STRATEGY_CLOSE_FAILED)
                log.error("a person must close positions", strategy=after.name, reason=why)
            return
        await self.book.change(
            str(strategy.id),
            "positions_closed",
            lambda s: machine.closed(s, now) if s.closing_at else s,
            actor=ACTOR,
        )

    async def _try(self, strategy: Strategy, symbols: Sequence[str]) -> str:
        """Why a symbol could not be closed; empty when all orders were made and have ended."""
        reasons = []
        deadline = self.clock.now() + self.desk.policy.saga_time_max
        for symbol in symbols:
            begun = await self.instructed.close_position(
                symbol,
                origin=Origin.EXIT,
                key=f"{strategy.id}:{strategy.closing_at}:{symbol}:{strategy.close_attempts}",
                reason=f"strategy {strategy.name} is deactivated",
                actor=ACTOR,
                strategy_id=strategy.id,
            )
            reasons += [_denial(one) for one in begun if one.trade is None]
            for one in begun:
                if one.trade is not None:
                    await news_or_moment(self.clock, one.trade.ended, deadline)
                    reasons += _shortfall(one.trade)
        return "; ".join(reasons)


def held_by(desk: TradeDesk, strategy: Strategy) -> Sequence[str]:
    """The symbols of which the strategy's own trades hold or may come to hold, in order."""
    symbols = {*strategy.symbols, *desk.holdings.positions}
    held = {s for s in symbols if desk.holdings.of_strategy(strategy.id, s) != ZERO}
    open_now = {t.state.order.symbol for t in desk.trades if _is_of(t, strategy)}
    return sorted(held | open_now)


def _is_of(trade: OpenTrade, strategy: Strategy) -> bool:
    return trade.state.order.strategy_id == strategy.id


def _shortfall(trade: OpenTrade) -> list[str]:
    """Why the order did not fill as a whole; nothing when it did."""
    order, saga = trade.state.order, trade.state.saga
    if order.filled_quantity == order.quantity:
        return []
    return [f"{order.symbol} order {order.status}: {saga.reason or order.evidence or 'open'}"]


def _denial(one: Instructed) -> str:
    why = ", ".join(f"{d.code}: {d.message}" for d in one.decision.denials)
    return f"{one.decision.symbol} {why}"
