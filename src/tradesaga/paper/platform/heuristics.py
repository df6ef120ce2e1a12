"""The platform's decision maker: averages and the day's change, and no model at all.

    50-day average above the 200-day one, price above the 50-day one   buy
    the mirror of it                                                   sell
    else a day of more than -3 %                                       sell
    else, and always without a price                                   hold

Everything it knows of the market is in the request: what that leaves out counts for nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.bus import Bus
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.platform.books import identifier
from tradesaga.paper.platform.engine import DECIDED
from tradesaga.paper.platform.telling import Teller

SERVICE: Final = "ai-decision"
ASKED: Final = "orchestrator.analysis.requested"
ASKED_DURABLE: Final = "ai-decision-orchestrator-analysis-requested"
MODEL: Final = "heuristics:v1"
KEPT_MAX: Final = 100
FALL_PERCENT: Final = Decimal(-3)


class Market(Struct, frozen=True, kw_only=True, rename="camel"):
    """The caller's view; each part may be missing."""

    current_price: Decimal | None = None
    volume: Decimal | None = None
    change_percent: Decimal | None = None
    fifty_day_m_a: Decimal | None = msgspec.field(default=None, name="fiftyDayMA")
    two_hundred_day_m_a: Decimal | None = msgspec.field(default=None, name="twoHundredDayMA")


class Decision(Struct, frozen=True, kw_only=True, rename="camel"):
    """An answer."""

    decision_id: str
    symbol: str
    action: str
    confidence: Decimal
    reasoning: list[str]
    risk_level: str
    suggested_quantity: Decimal | None
    target_price: Decimal | None
    stop_loss: Decimal | None
    model_used: str
    generated_at: datetime


class _Asked(Struct, frozen=True, rename="camel"):
    symbol: str | None = None
    symbols: list[str] = []


class _Message(Struct, frozen=True):
    payload: _Asked


class Heuristics:
    """Judges, remembers the last hundred, publishes."""

    def __init__(self, teller: Teller, faults: FaultBook, *, now: Callable[[], datetime]) -> None:
        self.faults = faults
        self.kept: deque[Decision] = deque(maxlen=KEPT_MAX)
        self._teller = teller
        self._now = now

    async def decide(self, symbol: str, market: Market) -> Decision:
        """Judge, and publish before anybody is answered; without a bus that part is lost."""
        now = self._now()
        action, confidence, why = judged(market)
        price = market.current_price
        decision = Decision(
            decision_id=identifier("dec", now),
            symbol=symbol,
            action=action,
            confidence=confidence,
            reasoning=why,
            risk_level="medium",
            suggested_quantity=None if action == "hold" else _quantity(confidence),
            target_price=None if price is None else price * Decimal("1.05"),
            stop_loss=None if price is None else price * Decimal("0.97"),
            model_used=MODEL,
            generated_at=now,
        )
        self.kept.append(decision)
        told = {
            "decisionId": decision.decision_id,
            "symbol": symbol,
            "action": action,
            "confidence": confidence,
            "reasoning": why,
            "alternatives": [],
            "dataQuality": confidence,
            "modelUsed": MODEL,
            "generatedAt": now,
        }
        try:
            await self._teller.tell(DECIDED, told)
        except Unavailable:
            return decision  # the caller is answered all the same
        return decision

    async def answer_requests(self, bus: Bus) -> None:
        """Judge what the bus asks, without any data and so always hold; ends by cancellation."""
        found: AsyncIterator[Any] = bus.requests(ASKED, ASKED_DURABLE, only_new=True)
        async for message in found:
            symbol = _symbol_of(message.data)
            if symbol is not None:
                await self.decide(symbol, Market())
            await bus.settle(message, readable=True)


def judged(market: Market) -> tuple[str, Decimal, list[str]]:
    """Action, confidence and reasons."""
    price, fast, slow = market.current_price, market.fifty_day_m_a, market.two_hundred_day_m_a
    if price is None:
        return "hold", Decimal("0.5"), ["No market data"]
    confidence, why, action = Decimal("0.6"), list[str](), "hold"
    if fast is not None and slow is not None:
        confidence += Decimal("0.1")
        if price > fast > slow:
            action = "buy"
            why.append("Golden cross: price above both averages")
        elif price < fast < slow:
            action = "sell"
            why.append("Death cross: price below both averages")
    change = market.change_percent
    if action == "hold" and change is not None and change < FALL_PERCENT:
        action = "sell"
        why.append(f"Fell by {-change:.2f}%")
    if market.volume is not None:
        confidence += Decimal("0.05")
    if change is not None:
        confidence += Decimal("0.05")
    return action, confidence, why or ["No clear signal"]


def _quantity(confidence: Decimal) -> Decimal:
    return (confidence * 180).quantize(Decimal(1), ROUND_DOWN)


def _symbol_of(raw: bytes) -> str | None:
    try:
        asked = msgspec.json.decode(raw, type=_Message).payload
    except msgspec.DecodeError:
        return None
    return asked.symbol or next(iter(asked.symbols), None)
