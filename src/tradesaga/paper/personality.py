"""What one personality of the three neighbours is to the process that runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from litestar.types import ASGIApp

from tradesaga.paper.bus import Bus
from tradesaga.paper.clock import ClockAuthority
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording
from tradesaga.paper.settings import PaperSettings
from tradesaga.paper.store import Store

TRADING_ENGINE: Final = "trading-engine"
AI_DECISION: Final = "ai-decision"
MARKET_DATA: Final = "market-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every personality is given."""

    settings: PaperSettings
    recording: Recording
    prices: Prices
    store: Store
    bus: Bus
    clock: ClockAuthority
    books: dict[str, FaultBook]
    agent_seen: Callable[[], None]


class Personality(Protocol):
    """Three services that share a clock and a bus."""

    def application(self, name: str) -> ASGIApp:
        """The HTTP side of one service."""
        ...

    def next_due(self) -> datetime | None:
        """When something happens next; None: nothing is to be waited for."""
        ...

    def tick(self, now: datetime) -> None:
        """Do what is due."""
        ...

    def end_of_recording(self) -> None:
        """No further minute will come."""
        ...

    def work(self, group: asyncio.TaskGroup) -> None:
        """Start what goes on in the background; the bus is open."""
        ...
