"""The clients of the neighbours in their dialects, each with its pace, breaker and deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal

from tradesaga.adapters.asking_bus import AskingBus
from tradesaga.adapters.http.analyst import HttpAnalyst
from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.clock import HttpClock
from tradesaga.adapters.http.connections import SharedConnections
from tradesaga.adapters.http.decision_service import HttpDecisionService
from tradesaga.adapters.http.market_data import HttpMarketData
from tradesaga.adapters.http.pace import Pace
from tradesaga.adapters.http.platform_engine import Books, PlatformTradingEngine, ReadBooks
from tradesaga.adapters.http.platform_market_data import PlatformMarketData
from tradesaga.adapters.http.trading_engine import Claimed, HttpTradingEngine, RefusalToSend
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.nats.parking import DECIDED, ConsumerParking
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import host_now
from tradesaga.bootstrap import translation
from tradesaga.config import Dialect, SelfTrading, Settings
from tradesaga.config.rate_limit import RateLimit
from tradesaga.config.services import BreakerFigures
from tradesaga.domain.money import ZERO
from tradesaga.ports.bus import Bus
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import PositionSums
from tradesaga.ports.services import EngineParking, MarketData, VenueMemory
from tradesaga.ports.tracing import UNTRACED, Tracer

VENUE, DECISIONS, MARKET_DATA = "trading-engine", "ai-decision", "market-data"

OurPositions = Callable[[], Awaitable[Sequence[PositionSums]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourClients:
    """All that reaches them; `memory` and `parking` are None where there is no need of them."""

    venue: HttpTradingEngine
    market_data: MarketData
    decisions: HttpDecisionService
    bus: Bus
    clock: HttpClock
    memory: VenueMemory | None
    parking: EngineParking | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Makes them; `stack` closes them."""

    settings: Settings
    clock: Clock
    metrics: PrometheusMetrics
    stack: AsyncExitStack
    claimed: Claimed
    refusal: RefusalToSend
    positions: OurPositions
    tracer: Tracer = UNTRACED
    circuits: dict[str, Circuit] = field(default_factory=dict)

    def all_over(self, bus: NatsBus) -> NeighbourClients:
        """Each in its dialect; `bus` carries what is not asked over HTTP."""
        market_data = self._market_data()
        service = self.settings.services.trading_engine
        memory: VenueMemory | None = None
        if service.dialect is Dialect.PLATFORM:
            venue: HttpTradingEngine = self._platform_venue(market_data)
            memory = venue if isinstance(venue, PlatformTradingEngine) else None
        else:
            venue = venue_of(
                self.settings,
                self.clock,
                self.metrics,
                claimed=self.claimed,
                refusal=self.refusal,
                tracer=self.tracer,
            )
        self.stack.push_async_callback(venue.close)
        decisions = HttpDecisionService(
            url=self.settings.services.ai_decision.url,
            time_max=self.settings.services.ai_decision.timeout,
        )
        clock = HttpClock(name=VENUE, url=service.url, time_max=service.timeout, host_now=host_now)
        self.stack.push_async_callback(decisions.close)
        self.stack.push_async_callback(clock.close)
        return NeighbourClients(
            venue=venue,
            market_data=market_data,
            decisions=decisions,
            bus=self._bus(bus, market_data),
            clock=clock,
            memory=memory,
            parking=parking_over(bus, self.settings),
        )

    def _platform_venue(self, market_data: MarketData) -> PlatformTradingEngine:
        service = self.settings.services.trading_engine
        return PlatformTradingEngine(
            url=service.url,
            time_max=service.timeout,
            capabilities=translation.venue_capabilities(self.settings),
            clock=self.clock,
            start_capital=service.start_capital,
            books=books_of(self.positions, market_data),
            claimed=self.claimed,
            refusal_to_send=self.refusal,
            pace=self._pace(VENUE, service.rate_limit),
            circuit=self._circuit(VENUE, service.breaker),
            tracer=self.tracer,
        )

    def _market_data(self) -> HttpMarketData | PlatformMarketData:
        service = self.settings.services.market_data
        is_platform = service.dialect is Dialect.PLATFORM
        made = (PlatformMarketData if is_platform else HttpMarketData)(
            url=service.url,
            time_max=service.timeout,
            clock=self.clock,
            pace=self._pace(MARKET_DATA, service.rate_limit),
            circuit=self._circuit(MARKET_DATA, service.breaker),
            tracer=self.tracer,
        )
        self.stack.push_async_callback(made.close)
        return made

    def _bus(self, bus: NatsBus, market_data: MarketData) -> Bus:
        """Who knows nothing when asked over the bus is asked over HTTP."""
        service = self.settings.services.ai_decision
        if service.dialect is not Dialect.PLATFORM:
            return bus
        analyst = HttpAnalyst(
            url=service.url,
            time_max=service.timeout,
            market_data=market_data,
            clock=self.clock,
            circuit=self._circuit(DECISIONS, service.breaker),
            tracer=self.tracer,
        )
        self.stack.push_async_callback(analyst.close)
        return AskingBus(bus, analyst.analyse, bus.read, self.clock, self.tracer)

    def _circuit(self, name: str, figures: BreakerFigures) -> Circuit:
        return _circuit(name, figures, self.clock, self.metrics)

    def _pace(self, name: str, limit: RateLimit) -> Pace:
        return _pace(name, limit, self.clock, self.metrics)


def parking_over(bus: NatsBus, settings: Settings) -> EngineParking | None:
    """The brake on an engine that trades by itself; None where none is to be parked."""
    if translation.self_trading(settings) is not SelfTrading.PARK:
        return None
    prefix = translation.subject_prefix(settings)
    subject = f"{prefix}.{DECIDED}" if prefix else DECIDED
    return ConsumerParking(bus.request, subject=subject)


def venue_of(
    settings: Settings,
    clock: Clock,
    metrics: PrometheusMetrics,
    *,
    claimed: Claimed,
    refusal: RefusalToSend,
    url: str = "",
    shared: SharedConnections | None = None,
    tracer: Tracer = UNTRACED,
) -> HttpTradingEngine:
    """The trading engine, at `url` if that is given, over connections of its own or `shared`."""
    service = settings.services.trading_engine
    return HttpTradingEngine(
        url=url or service.url,
        time_max=service.timeout,
        capabilities=translation.venue_capabilities(settings),
        clock=clock,
        claimed=claimed,
        refusal_to_send=refusal,
        pace=_pace(VENUE, service.rate_limit, clock, metrics),
        circuit=_circuit(VENUE, service.breaker, clock, metrics),
        transport=None if shared is None else shared.usual,
        cancel_transport=None if shared is None else shared.cancels,
        tracer=tracer,
    )


def _circuit(
    name: str, figures: BreakerFigures, clock: Clock, metrics: PrometheusMetrics
) -> Circuit:
    return Circuit(
        name,
        monotonic=clock.monotonic,
        told=metrics.breaker_state,
        figures=translation.circuit_of(figures),
    )


def _pace(name: str, limit: RateLimit, clock: Clock, metrics: PrometheusMetrics) -> Pace:
    return Pace(
        name,
        translation.rate_of(limit),
        wait_max=limit.wait_max,
        monotonic=clock.monotonic,
        noted=metrics.rate_limited,
    )


def books_of(positions: OurPositions, market_data: MarketData) -> ReadBooks:
    """Our ledger from our own fills, at the prices of market-data."""

    async def read() -> Books:
        sums = await positions()
        held = [one for one in sums if one.quantity != ZERO]
        quotes = await market_data.quotes([one.symbol for one in held]) if held else {}
        flow, value = ZERO, ZERO
        for one in sums:
            flow += one.sold_value - one.bought_value - one.fees
        for one in held:
            quote = quotes.get(one.symbol)
            price = None if quote is None else quote.middle
            value += one.quantity * (_entry_price(one) if price is None else price)
        return Books(cash_flow=flow, value=value)

    return read


def _entry_price(one: PositionSums) -> Decimal:
    """The mean of all that was bought, or sold short; as good as there is without a quote."""
    if one.quantity > ZERO:
        return one.bought_value / one.bought_quantity
    return one.sold_value / one.sold_quantity
