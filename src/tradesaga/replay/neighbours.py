"""The three neighbours of a replay: the simulated services' own parts, without their servers.

    prices ──► venue, judgement, quotes          as `tradesaga paper` has them
    store (SQLite in memory) ──► outbox ──► bus

What they decide, refuse, execute and tell is the code of `tradesaga paper`; a replay and
`tradesaga up --paper` on the same data therefore agree. Faults cannot be ordered here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tradesaga.domain.events import ANALYSIS_REQUESTED
from tradesaga.domain.market import MarketStatus, Quote, SessionKind
from tradesaga.paper.decisions import Judgement
from tradesaga.paper.desk import SERVICE as TRADING_ENGINE
from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording
from tradesaga.paper.sessions import next_transition
from tradesaga.paper.spec import events
from tradesaga.paper.spec.announcements import MARKET_DATA, SessionAnnouncer
from tradesaga.paper.spec.decisions_desk import SERVICE as AI_DECISION
from tradesaga.paper.spec.decisions_desk import DecisionDesk
from tradesaga.paper.store import Store
from tradesaga.paper.strategies import Definition
from tradesaga.paper.venue import Venue, VenueRules
from tradesaga.ports.services import Capabilities, Health
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.venue import ReplayVenue

_IN_MEMORY = Path(":memory:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What is traded on: the recording, the venue's rules, the account's first cash."""

    recording: Recording
    rules: VenueRules
    start_cash: Decimal
    definitions: Sequence[Definition]


class Neighbours:
    """The services of one replay; `close` them when it is over."""

    def __init__(self, market: Market, capabilities: Capabilities, clock: PlayedClock) -> None:
        self._clock = clock
        self._store = Store(
            _IN_MEMORY, fingerprint=market.recording.fingerprint, start_cash=market.start_cash
        )
        books = {
            name: FaultBook(name, market.rules.seed)
            for name in (TRADING_ENGINE, AI_DECISION, MARKET_DATA)
        }
        prices, loaded = Prices(market.recording), self._store.load()
        self.outbox = Outbox(self._store, loaded.outbox, books)
        self._announcer = SessionAnnouncer(self._store, self.outbox)
        self._deciding = DecisionDesk(
            Judgement(prices, market.definitions),
            self._store,
            self.outbox,
            books[AI_DECISION],
            now=clock.now,
        )
        trading = TradingDesk(
            Venue(prices, market.rules, loaded.account, loaded.orders),
            self._store,
            self.outbox,
            books[TRADING_ENGINE],
            now=clock.now,
            encode=events.of_venue,
            honours_client_order_id=market.rules.honours_client_order_id,
        )
        self.venue = ReplayVenue(trading, capabilities, clock)
        self.market_data = ReplayMarketData(prices, clock)

    def announce(self) -> None:
        """Tell of the changes of session up to now, and plan the next one."""
        now = self._clock.now()
        self._announcer.announce(now)
        self._clock.call_at(next_transition(now).at, self.announce)

    def hear(self, event_type: str, body: bytes) -> None:
        """An event of the engine's."""
        if event_type == ANALYSIS_REQUESTED:
            readable = self._deciding.on_message(body)
            assert readable, "the engine's own request cannot be read"

    def close(self) -> None:
        """Forget everything."""
        self._store.close()


class ReplayMarketData:
    """Implements `ports.services.MarketData`."""

    def __init__(self, prices: Prices, clock: PlayedClock) -> None:
        self._prices = prices
        self._clock = clock

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """The newest quotes whose minute is over."""
        now = self._clock.now()
        found = {symbol: self._prices.quote(symbol, now) for symbol in symbols}
        return {
            symbol: Quote(
                symbol=symbol, bid=shown.bid, ask=shown.ask, last=shown.price, at=shown.at
            )
            for symbol, shown in found.items()
            if shown is not None
        }

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """The closes of the days that are over."""
        now, found = self._clock.now(), {}
        for symbol in symbols:
            bars = self._prices.bars(symbol, "1d", start=None, end=None, limit=number, now=now)
            if bars:
                found[symbol] = [bar.close for bar in bars]
        return found

    async def market_status(self) -> MarketStatus:
        """What the simulated service says."""
        now = self._clock.now()
        change = next_transition(now)
        opens, closes = change.after is SessionKind.REGULAR, change.before is SessionKind.REGULAR
        return MarketStatus(
            is_open=closes,
            as_of=now,
            next_open=change.at if opens else None,
            next_close=change.at if closes else None,
        )

    async def health(self) -> Health:
        """As the port."""
        return Health.HEALTHY


class ReplayDecisions:
    """Implements `ports.services.DecisionService`; decisions are asked for by event."""

    async def health(self) -> Health:
        """As the port."""
        return Health.HEALTHY
