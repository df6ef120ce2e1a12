"""The neighbours as they are specified: durable books, an outbox, heartbeats, sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from litestar.types import ASGIApp

from tradesaga.paper.decisions import Judgement
from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.personality import AI_DECISION, MARKET_DATA, TRADING_ENGINE, Surroundings
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording
from tradesaga.paper.settings import PaperSettings
from tradesaga.paper.spec import decisions_http, events, market_http, orders_http, positions_http
from tradesaga.paper.spec.announcements import SessionAnnouncer, heartbeat
from tradesaga.paper.spec.application import application
from tradesaga.paper.spec.decisions_desk import DecisionDesk
from tradesaga.paper.spec.service import Service
from tradesaga.paper.store import Loaded, Outgoing
from tradesaga.paper.strategies import default_strategies, definitions_of, load_strategies
from tradesaga.paper.venue import Venue

ANALYSIS_REQUESTED = "orchestrator.analysis.requested"
ANALYSIS_DURABLE = "ai-decision-orchestrator-analysis-requested"


class SpecificationNeighbours:
    """Implements `personality.Personality`."""

    def __init__(self, around: Surroundings, loaded: Loaded) -> None:
        settings, books, now = around.settings, around.books, around.clock.now
        self._around = around
        self.outbox = Outbox(around.store, loaded.outbox, books)
        self.trading = TradingDesk(
            Venue(around.prices, settings.rules, loaded.account, loaded.orders),
            around.store,
            self.outbox,
            books[TRADING_ENGINE],
            now=now,
            encode=events.of_venue,
            honours_client_order_id=settings.rules.honours_client_order_id,
        )
        self.deciding = DecisionDesk(
            _judgement(settings, around.recording, around.prices),
            around.store,
            self.outbox,
            books[AI_DECISION],
            now=now,
            sign=_sign(settings),
        )
        self.market = market_http.MarketDesk(
            prices=around.prices, now=now, faults=books[MARKET_DATA]
        )
        self.announcer = SessionAnnouncer(around.store, self.outbox)
        checks = {"eventBus": lambda: around.bus.ready, "database": lambda: True}
        self.services = {name: Service(name, book, checks) for name, book in books.items()}

    def application(self, name: str) -> ASGIApp:
        """See the protocol."""
        desk, handlers = {
            TRADING_ENGINE: (self.trading, [*orders_http.HANDLERS, *positions_http.HANDLERS]),
            AI_DECISION: (self.deciding, decisions_http.HANDLERS),
            MARKET_DATA: (self.market, market_http.HANDLERS),
        }[name]
        return application(
            self.services[name],
            desk,
            handlers,
            now=self._around.clock.now,
            agent_seen=self._around.agent_seen,
        )

    def next_due(self) -> datetime | None:
        """See the protocol."""
        return self.trading.venue.next_due()

    def tick(self, now: datetime) -> None:
        """See the protocol."""
        self.trading.run_due()
        self.announcer.announce(now)

    def end_of_recording(self) -> None:
        """See the protocol."""
        self.trading.end_of_recording()

    def work(self, group: asyncio.TaskGroup) -> None:
        """See the protocol."""
        group.create_task(self.outbox.run(self._around.bus.send), name="outbox")
        group.create_task(self._answer_requests(), name="requests")
        group.create_task(self._heartbeats(), name="heartbeats")

    async def _answer_requests(self) -> None:
        bus = self._around.bus
        async for message in bus.requests(ANALYSIS_REQUESTED, ANALYSIS_DURABLE):
            traceparent = (message.headers or {}).get("traceparent")
            readable = self.deciding.on_message(message.data, traceparent)
            await bus.settle(message, readable=readable)

    async def _heartbeats(self) -> None:
        bus, clock = self._around.bus, self._around.clock
        while True:
            for service in self.services.values():
                last = self.outbox.sent_last
                beat = heartbeat(service, clock.now(), last, lambda: bus.connected)
                await bus.tell(beat)
            await asyncio.sleep(self._around.settings.heartbeat_seconds)


def _judgement(settings: PaperSettings, recording: Recording, prices: Prices) -> Judgement:
    plain = (
        default_strategies(recording.symbols)
        if settings.strategies is None
        else load_strategies(settings.strategies)
    )
    return Judgement(prices, definitions_of(plain, []))


def _sign(settings: PaperSettings) -> Callable[[Outgoing, datetime], Outgoing] | None:
    """How decisions are signed; None when they are not."""
    if not settings.signs_decisions:
        return None
    from tradesaga.paper.signing import kept_signer  # noqa: PLC0415 -- its library is an extra

    return kept_signer(settings.state_dir).signed
