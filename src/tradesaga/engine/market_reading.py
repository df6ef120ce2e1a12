"""What an analysis asks of the world before it judges: account, quotes and positions, all at once.

It is begun together with the cycle or before it, while that is being written: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradesaga.domain.market import Quote
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.position_check import Look, PositionCheck
from tradesaga.engine.waiting import together
from tradesaga.ports.services import Account, MarketData, TradingEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketReading:
    """`spent` is what our buys had cost before the account was asked; what fills later costs too.

    Of a symbol that has no quote there is none in `quotes`.
    """

    account: Account
    quotes: Mapping[str, Quote]
    look: Look
    spent: Decimal


ReadMarket = Callable[[], Awaitable[MarketReading]]


def symbols_of(strategies: Iterable[Strategy]) -> tuple[str, ...]:
    """All that they watch, each once, in order."""
    return tuple(sorted({symbol for strategy in strategies for symbol in strategy.symbols}))


async def read_market(
    venue: TradingEngine, market_data: MarketData, positions: PositionCheck, symbols: Sequence[str]
) -> MarketReading:
    """Ask for all of it. Raises Transient as the services do."""
    spent = positions.desk.holdings.spent
    account, quotes, look = await together(
        venue.account, lambda: market_data.quotes(symbols), positions.look
    )
    return MarketReading(account=account, quotes=quotes, look=look, spent=spent)
