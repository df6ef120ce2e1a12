"""What one run of the simulated neighbours is given; plain values, checked by who made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from tradesaga.paper.bus import STREAM_BYTES_MAX
from tradesaga.paper.places import CLOCK_FILE
from tradesaga.paper.recordings import DEFAULT_DATA
from tradesaga.paper.venue import VenueRules


class Dialect(StrEnum):
    """How the neighbours speak and behave: as specified, or as the platform's real services do."""

    SPECIFICATION = "specification"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Data, clock, places and rules of one run.

    `speed` is how many times real time; `start_hold_seconds` is how long time waits at the start
    for the agent to show itself, `cycle_hold_seconds` how long (real) for each of its cycles,
    neither when `governor` is off. `rules` says how the venue executes, and whether it honours
    client order ids. A port of 0 is chosen by the system. `strategies`: a file of definitions that
    requests may name; without it the defaults over all recorded symbols. `rules`, `start_cash`,
    `strategies` and `heartbeat_seconds` are for the specification's `dialect` alone.
    """

    state_dir: Path
    nats_url: str
    data: tuple[Path, ...] = DEFAULT_DATA
    speed: float = 60.0
    governor: bool = True
    start_hold_seconds: float = 30.0
    cycle_hold_seconds: float = 1.0
    host: str = "127.0.0.1"
    trading_engine_port: int = 3001
    ai_decision_port: int = 3002
    market_data_port: int = 3003
    nats_token: str | None = field(default=None, repr=False)
    nats_logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    subject_prefix: str = "ai-trader"
    stream_bytes_max: int = STREAM_BYTES_MAX
    start_cash: Decimal = Decimal(100_000)
    rules: VenueRules = field(default_factory=VenueRules)
    strategies: Path | None = None
    heartbeat_seconds: float = 10.0
    dialect: Dialect = Dialect.SPECIFICATION
    signs_decisions: bool = False

    @property
    def clock_path(self) -> Path:
        """The shared file of market time."""
        return self.state_dir / CLOCK_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a run listens, once it does."""

    trading_engine: str
    ai_decision: str
    market_data: str
