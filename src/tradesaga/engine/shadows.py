"""Shadow strategies: asked and judged as the others, on the same inputs, and never executed.

A shadow is judged as if the account were its own and held only what its decisions would have
bought: neither does it take room from the strategies that trade, nor they from it. What would have
been allowed is stored with a verdict of its own, `shadow`, at the price that the market would have
given. Three things keep it from ordering: nobody makes a trade of that verdict, a decision of that
verdict cannot be made a trade of, and the gate sends no order of a strategy that is a shadow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.market import Quote
from tradesaga.domain.money import ZERO
from tradesaga.domain.risk import Book
from tradesaga.domain.strategies import Strategy
from tradesaga.ports.records import Records
from tradesaga.ports.services import Account

Imagined = Mapping[StrategyId, Mapping[str, Decimal]]
"""What each shadow would hold, by symbol."""


async def imagined(records: Records, agent_id: AgentId, strategies: Sequence[Strategy]) -> Imagined:
    """What the shadows among `strategies` would hold; nothing is asked when there is none."""
    found: dict[StrategyId, dict[str, Decimal]] = {s.id: {} for s in strategies if s.is_shadow}
    if found:
        stored = await records.imagined_positions(agent_id)
        for (owner, symbol), quantity in stored.items():
            if owner in found:
                found[owner][symbol] = quantity
    return found


def book_of(account: Account, prices: Mapping[str, Decimal], held: Mapping[str, Decimal]) -> Book:
    """The account as if it held nothing else."""
    return Book(
        equity=account.equity,
        buying_power=account.buying_power,
        reserved=ZERO,
        positions={symbol: quantity for symbol, quantity in held.items() if quantity != ZERO},
        working={},
        prices=prices,
        blocked=account.blocked,
    )


def shadowed(decision: Decision, quote: Quote | None) -> Decision:
    """The allowed decision of a shadow: never an order, scored at the other side's price."""
    side = None if quote is None else quote.ask if decision.action is Action.BUY else quote.bid
    price = side if side is not None or quote is None else quote.middle
    reference = decision.reference_price if price is None else price
    return replace(decision, verdict=Verdict.SHADOW, reference_price=reference)
