"""What is known of the neighbours' health: polled, and told by their heartbeats."""

from __future__ import annotations

from collections.abc import Mapping

from tradesaga.domain.events import HeartbeatSeen
from tradesaga.ports.services import DecisionService, Health, MarketData, TradingEngine

TRADING_ENGINE = "trading-engine"
AI_DECISION = "ai-decision"
MARKET_DATA = "market-data"


class HealthBoard:
    """The last word on each service; silence is no reason to degrade, a failed poll is."""

    def __init__(
        self, *, venue: TradingEngine, decisions: DecisionService, market_data: MarketData
    ) -> None:
        self._venue = venue
        self._decisions = decisions
        self._market_data = market_data
        self.self_trading = ""
        """What was done about an engine that trades by itself; empty before that was looked at."""
        self._services = dict.fromkeys(
            (TRADING_ENGINE, AI_DECISION, MARKET_DATA), Health.UNREACHABLE
        )

    @property
    def services(self) -> Mapping[str, Health]:
        """By the names of the specification."""
        return dict(self._services)

    def heard(self, event: HeartbeatSeen) -> None:
        """A service tells its status; others than the three neighbours are left aside."""
        if event.service in self._services and event.status in set(Health):
            self._services[event.service] = Health(event.status)

    def troubled(self, service: str) -> None:
        """A service tells of a critical error: not healthy, until it says so again."""
        if self._services.get(service) is Health.HEALTHY:
            self._services[service] = Health.DEGRADED

    async def poll(self) -> Mapping[str, Health]:
        """Ask all three, one after the other; each call bounds its own time."""
        self._services[TRADING_ENGINE] = await self._venue.health()
        self._services[AI_DECISION] = await self._decisions.health()
        self._services[MARKET_DATA] = await self._market_data.health()
        return self.services
