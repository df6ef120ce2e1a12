"""Orders to send, and services that answer as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2
import msgspec

from tests.adapters.http.played import Played
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.domain.ids import DEFAULT_AGENT, DecisionId, OrderId, SagaId, StrategyId
from tradesaga.domain.orders import Order, OrderType, Side
from tradesaga.ports.services import Capabilities

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
ONE = UUID(int=1)

ORDER = Order(
    id=OrderId(ONE),
    agent_id=DEFAULT_AGENT,
    saga_id=SagaId(ONE),
    decision_id=DecisionId(ONE),
    strategy_id=StrategyId(UUID(int=7)),
    cycle_id=None,
    leg=0,
    purpose="entry",
    client_order_id="ts-abc",
    symbol="SPY",
    side=Side.BUY,
    quantity=Decimal(3),
    type=OrderType.MARKET,
    limit_price=None,
    time_in_force="day",
    opening=True,
    reference_price=Decimal(370),
    expires_at=NOW + timedelta(minutes=1),
    created_at=NOW,
)
LIMIT = replace(ORDER, type=OrderType.LIMIT, limit_price=Decimal("370.10"))
SENT = replace(ORDER, venue_order_id="ord_1")


class StandingClock:
    """It is always the same moment."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep_until(self, when: datetime) -> None:
        raise AssertionError(f"nobody sleeps here until {when}")


@dataclass
class Service:
    """Answers each request by the first route that fits, and remembers it."""

    routes: dict[str, Any] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)

    @property
    def transport(self) -> Played:
        return Played(httpx2.MockTransport(self._answer))

    def on(self, route: str, answer: Any, status: int = 200) -> None:
        """`answer` is JSON, bytes, an exception or a function of the request."""
        self.routes[route] = (status, answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        status, answer = self.routes[f"{request.method} {request.url.path}"]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Callable):  # type: ignore[arg-type]  # any function of the request
            answer = answer(request)
        body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        return httpx2.Response(status, content=body)


def engine(
    service: Service, *, by_client_id: bool = False, claimed: set[str] | None = None
) -> HttpTradingEngine:
    """The client over `service`; `claimed` are venue ids known as ours."""

    async def is_claimed(venue_order_id: str) -> bool:
        return venue_order_id in (claimed or set())

    return HttpTradingEngine(
        url="http://venue",
        time_max=timedelta(seconds=1),
        capabilities=Capabilities(
            dedupes=True, query_by_client_id=by_client_id, visibility_lag=timedelta(seconds=30)
        ),
        clock=StandingClock(),
        claimed=is_claimed,
        transport=service.transport,
    )
