"""Every port that the engine needs, as one value for the composition root to fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tradesaga.domain.errors import Rejected
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market import Calendar
from tradesaga.engine.exchange import Exchange
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.send_gate import SendGate
from tradesaga.ports.archive import Archive
from tradesaga.ports.bus import Bus, ReadMessage
from tradesaga.ports.clock import Clock, OtherClock
from tradesaga.ports.database import DamageSeen, DatabaseMarks
from tradesaga.ports.halt_marks import HaltMarks
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Journal
from tradesaga.ports.lease import Lease
from tradesaga.ports.metrics import Metrics
from tradesaga.ports.records import Outbox, Records
from tradesaga.ports.services import (
    DecisionService,
    EngineParking,
    MarketData,
    OrderHistory,
    TradingEngine,
    VenueMemory,
)
from tradesaga.ports.stream import SentEvents, StreamState
from tradesaga.ports.tracing import UNTRACED, Tracer


class OpenableJournal(Journal, Protocol):
    """A journal that must be told the epoch under which it writes for an agent."""

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """Read where the agent's log ends; from now on it writes under `epoch`."""
        ...


def nobody_reads(subject: str, _body: bytes) -> Incoming:
    """What a world without a real bus has for it. Raises Rejected."""
    raise Rejected(f"no message of {subject} can be read here")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The adapters of one process."""

    journal: OpenableJournal
    records: Records
    outbox: Outbox
    archive: Archive
    lease: Lease
    bus: Bus
    clock: Clock
    ids: IdSource
    metrics: Metrics
    venue: TradingEngine
    market_data: MarketData
    decisions: DecisionService
    calendar: Calendar
    gate: SendGate = field(default_factory=SendGate)
    database: DatabaseMarks | None = None
    """Tells whether the books are where they were; None where they cannot be elsewhere."""
    damage: DamageSeen = field(default_factory=DamageSeen)
    database_clock: OtherClock | None = None
    venue_clock: OtherClock | None = None
    """Clocks to compare the host's with; None where there is none."""
    order_history: OrderHistory | None = None
    """Orders of the account that have ended; None: the venue lists none."""
    venue_memory: VenueMemory | None = None
    """Of a venue that forgets with its process; None for one that does not."""
    parking: EngineParking | None = None
    """The brake on an engine that trades by itself; None: it is not to be parked."""
    read_message: ReadMessage = nobody_reads
    stream: StreamState | None = None
    sent: SentEvents | None = None
    """To see what the bus has lost; without a real bus there is nothing to see."""
    marks: HaltMarks | None = None
    """Without a state directory the kill switch leaves no mark."""
    fleet: Fleet | None = None
    """Without it there is no other node."""
    exchange: Exchange | None = None
    """What tells this agent its part of what the bus brings; None: it has all to itself."""
    others: Callable[[], bool] = lambda: False
    """Whether there are agents besides this one, whose events the bus brings, too."""
    tracer: Tracer = UNTRACED
