"""One trade to test with: buy 2 ACME at about 100, sixty seconds for the saga, thirty to fill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from tradesaga.domain import trade_saga
from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId, DecisionId, StrategyId
from tradesaga.domain.orders import OrderStatus, VenueFill, VenueReport
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.trade_messages import Policy, TradeState
from tradesaga.domain.trade_start import trade_for

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LAG = SECOND
"""How long the venue may hide an accepted order."""
POLICY = Policy(
    saga_time_max=60 * SECOND,
    fill_time_max=30 * SECOND,
    retry=RetryPolicy(retries_max=3, delay_first=SECOND),
    visibility_lag=LAG,
    dedupes=True,
)
QUICK = replace(POLICY, retry=RetryPolicy(retries_max=1, delay_first=SECOND))
"""With fewer tries, each of which is like the one before: fewer worlds to visit."""
FORGETFUL = replace(POLICY, dedupes=False)
"""The policy for a venue that takes the same client order id twice."""
VENUE_ID = "v-1"
PRICE = Decimal(100)
RESERVED = Decimal(202)

DECISION = Decision(
    id=DecisionId(UUID(int=1)),
    external_id="d-1",
    agent_id=DEFAULT_AGENT,
    cycle_id=CycleId(UUID(int=2)),
    strategy_id=StrategyId(UUID(int=3)),
    symbol="ACME",
    action=Action.BUY,
    confidence=Decimal("0.8"),
    quantity=Decimal(2),
    reference_price=PRICE,
    reasoning="",
    model="",
    as_of=START,
    expires_at=START + 45 * SECOND,
    created_at=START,
    verdict=Verdict.ALLOWED,
    opening=True,
)


def pending() -> TradeState:
    """The trade before its saga begins."""
    return trade_for(DECISION, reserve=RESERVED, now=START, policy=POLICY)


def begun() -> TradeState:
    """The trade with its intent committed: nothing is sent yet."""
    return trade_saga.begin(pending(), START).state


def report(
    status: OrderStatus,
    filled: int | Decimal = 0,
    *,
    at: datetime = START,
    source: str = "event",
    executions: bool = True,
) -> VenueReport:
    """The venue's word; one execution a unit at 100, 101, 102 ..., told unless `executions` is off.

    The average over the first n units is 100 + (n - 1) / 2.
    """
    units = range(1, int(filled) + 1)
    fills = tuple(
        VenueFill(cumulative=Decimal(n), quantity=Decimal(1), price=PRICE + n - 1, at=at)
        for n in units
    )
    return VenueReport(
        venue_order_id=VENUE_ID,
        status=status,
        source=source,
        at=at,
        symbol="ACME",
        filled_quantity=Decimal(filled),
        average_price=PRICE + (Decimal(filled) - 1) / 2 if filled else None,
        fills=fills if executions else (),
    )
