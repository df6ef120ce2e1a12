"""What strategies have earned, without reading every trade anew whenever somebody asks.

Every trade is in the commit that adds to the sums of its symbol. So figures of a symbol hold as
long as its sums are what they were, and only the trades of the symbols whose sums have moved are
read, in the snapshot in which the sums were. A trade that was taken back leaves the sums, and the
figures, as before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.decoding import Row, reader
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.orders import Trade
from tradesaga.domain.performance import Earned, earned, figures
from tradesaga.domain.strategies import Performance

_trade = reader(Trade)
_ByStrategy = Mapping[StrategyId, Earned]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The figures of one symbol, and the sums for which they hold."""

    sums: Row
    by_strategy: _ByStrategy


@dataclass(slots=True)
class Figures:
    """Those of every agent that was asked about; as many as there are symbols and strategies."""

    _known: dict[AgentId, Mapping[str, _Known]] = field(default_factory=dict)

    async def read(
        self, connection: Connection, agent_id: AgentId
    ) -> Mapping[StrategyId, Performance]:
        """The figures by strategy, as of the snapshot of `connection`."""
        before = self._known.get(agent_id, {})
        sums = {
            row["symbol"]: row for row in await connection.fetch(QUERIES["positions"], agent_id)
        }
        moved = [s for s, row in sums.items() if s not in before or before[s].sums != row]
        fresh = await _earned(connection, agent_id, moved) if moved else {}
        known = {
            symbol: _Known(sums=row, by_strategy=fresh.get(symbol, {}))
            if symbol in fresh or symbol not in before or before[symbol].sums != row
            else before[symbol]
            for symbol, row in sums.items()
        }
        self._known[agent_id] = known
        parts = defaultdict[StrategyId, list[Earned]](list)
        for one in known.values():
            for strategy_id, part in one.by_strategy.items():
                parts[strategy_id].append(part)
        return {strategy_id: figures(found) for strategy_id, found in parts.items()}


async def _earned(
    connection: Connection, agent_id: AgentId, symbols: Sequence[str]
) -> Mapping[str, _ByStrategy]:
    """What every strategy has earned in these symbols."""
    rows = await connection.fetch(QUERIES["trades_of_symbols"], agent_id, symbols)
    traded = defaultdict[StrategyId, list[Trade]](list)
    for trade in map(_trade, rows):
        if trade.strategy_id is not None:
            traded[trade.strategy_id].append(trade)
    found = defaultdict[str, dict[StrategyId, Earned]](dict)
    for strategy_id, trades in traded.items():
        for symbol, part in earned(trades).items():
            found[symbol][strategy_id] = part
    return found
