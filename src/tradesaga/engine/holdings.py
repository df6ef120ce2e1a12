"""What the agent holds and how often it ordered, in memory, moved by the same fills as the store.

The risk gate reads it without waiting: positions and working orders change together, in the same
turn of the event loop, so that no judgement sees a fill in neither.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Side
from tradesaga.domain.trade_messages import Outcome
from tradesaga.engine.order_pace import DAY, OrderPace
from tradesaga.ports.records import PositionSums, Records


class Holdings:
    """Signed quantities by symbol and by strategy; realised cash flow; the pace of orders.

    `bookings` counts fills, so that a reader can tell whether one came in between, and `spent` is
    what buys have cost since this process began: what an account read before does not show yet.
    """

    def __init__(self) -> None:
        self.positions: dict[str, Decimal] = {}
        self.cash_flow = ZERO
        self.bookings = 0
        self.spent = ZERO
        self.pace = OrderPace()
        self._by_strategy: dict[tuple[StrategyId | None, str], Decimal] = {}

    async def load(self, records: Records, agent_id: AgentId, now: datetime) -> None:
        """Begin with what is stored."""
        self.pace = OrderPace(await records.submissions_since(agent_id, now - DAY))
        await self.reload(records, agent_id)

    async def reload(self, records: Records, agent_id: AgentId) -> None:
        """Read what is held once more; the pace knows of orders that are being committed."""
        sums = await records.positions(agent_id)
        attributed = await records.attributed(agent_id)
        self.positions = {position.symbol: position.quantity for position in sums}
        self.cash_flow = sum((_cash_flow(position) for position in sums), ZERO)
        self._by_strategy = dict(attributed)

    def booked(self, outcome: Outcome) -> None:
        """Fills have been committed."""
        order, strategy = outcome.state.order, outcome.state.order.strategy_id
        self.bookings += len(outcome.fills)
        for fill in outcome.fills:
            signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
            self.positions[fill.symbol] = self.positions.get(fill.symbol, ZERO) + signed
            key = (strategy, fill.symbol)
            self._by_strategy[key] = self._by_strategy.get(key, ZERO) + signed
            self.cash_flow -= signed * fill.price + fill.fee
            self.spent += max(ZERO, signed * fill.price) + max(ZERO, fill.fee)
            if not order.opening:
                self.pace.left(fill.symbol, order.purpose, fill.filled_at)

    def of_strategy(self, strategy_id: StrategyId | None, symbol: str) -> Decimal:
        """The signed quantity that the strategy's own trades hold."""
        return self._by_strategy.get((strategy_id, symbol), ZERO)

    def owners_of(self, symbol: str) -> tuple[StrategyId | None, ...]:
        """Who holds something of `symbol`, by id; None, first, stands for trades of no strategy."""
        owners = [owner for (owner, s), held in self._by_strategy.items() if s == symbol and held]
        return tuple(sorted(owners, key=lambda owner: (owner is not None, owner)))

    def profit(self, prices: dict[str, Decimal]) -> Decimal:
        """Realised and unrealised, fees included; a position without a price counts nothing."""
        value = sum((q * prices[s] for s, q in self.positions.items() if s in prices), ZERO)
        return self.cash_flow + value


def _cash_flow(position: PositionSums) -> Decimal:
    return position.sold_value - position.bought_value - position.fees
