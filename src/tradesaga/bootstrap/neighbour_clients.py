"""The clients of the neighbours, each with its pace, its breaker and its deadline."""

from __future__ import annotations

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.clock import HttpClock
from tradesaga.adapters.http.connections import SharedConnections
from tradesaga.adapters.http.decision_service import HttpDecisionService
from tradesaga.adapters.http.market_data import HttpMarketData
from tradesaga.adapters.http.pace import Pace
from tradesaga.adapters.http.trading_engine import Claimed, HttpTradingEngine, RefusalToSend
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import host_now
from tradesaga.bootstrap import translation
from tradesaga.config import Settings
from tradesaga.config.rate_limit import RateLimit
from tradesaga.ports.clock import Clock


def venue_of(
    settings: Settings,
    clock: Clock,
    metrics: PrometheusMetrics,
    *,
    claimed: Claimed,
    refusal: RefusalToSend,
    url: str = "",
    shared: SharedConnections | None = None,
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
        pace=_pace("trading-engine", service.rate_limit, clock, metrics),
        circuit=_circuit("trading-engine", clock, metrics),
        transport=None if shared is None else shared.usual,
        cancel_transport=None if shared is None else shared.cancels,
    )


def market_data_of(settings: Settings, clock: Clock, metrics: PrometheusMetrics) -> HttpMarketData:
    """Prices."""
    service = settings.services.market_data
    return HttpMarketData(
        url=service.url,
        time_max=service.timeout,
        clock=clock,
        pace=_pace("market-data", service.rate_limit, clock, metrics),
        circuit=_circuit("market-data", clock, metrics),
    )


def decisions_of(settings: Settings) -> HttpDecisionService:
    """The decision maker beside the bus."""
    service = settings.services.ai_decision
    return HttpDecisionService(url=service.url, time_max=service.timeout)


def venue_clock_of(settings: Settings) -> HttpClock:
    """The venue's clock."""
    venue = settings.services.trading_engine
    return HttpClock(
        name="trading-engine", url=venue.url, time_max=venue.timeout, host_now=host_now
    )


def _circuit(name: str, clock: Clock, metrics: PrometheusMetrics) -> Circuit:
    return Circuit(name, monotonic=clock.monotonic, told=metrics.breaker_state)


def _pace(name: str, limit: RateLimit, clock: Clock, metrics: PrometheusMetrics) -> Pace:
    return Pace(
        name,
        translation.rate_of(limit),
        wait_max=limit.wait_max,
        monotonic=clock.monotonic,
        noted=metrics.rate_limited,
    )
