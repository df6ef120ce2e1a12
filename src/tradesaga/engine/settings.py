"""What the composition root tells the engine; durations are in the clock port's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.agent import Mode
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.decision_cost import FREE, Price
from tradesaga.domain.ids import AgentId
from tradesaga.domain.rebalance import RebalancePolicy
from tradesaga.domain.retention import KEEP_ALL, RetentionPolicy
from tradesaga.domain.risk import Limits
from tradesaga.domain.token_bucket import Rate


class SelfTrading(StrEnum):
    """What is done about an engine that executes decisions by itself: see `engine_watch`."""

    PARK = "park"
    ADOPT = "adopt"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """How bad what carries the agent may be before nothing is entered any more; real time."""

    bus_lost_max: timedelta = timedelta(seconds=5)
    commit_time_slow: timedelta = timedelta(milliseconds=500)
    commit_time_max: timedelta = timedelta(seconds=2)
    host_clock_error_max: timedelta = timedelta(milliseconds=50)
    lease_stall_max: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """One agent's settings."""

    agent_id: AgentId
    agent_name: str
    analysis_interval: timedelta
    analysis_concurrent_max: int
    analysis_time_max: timedelta
    decision_time_max: timedelta
    heartbeat_interval: timedelta
    market_hours_only: bool
    second_source: bool = False
    """Whether the market-data service must agree that the market is open."""
    zone: str = "America/New_York"
    """Of cron expressions that name no other."""
    rebalance_schedule: str = "0 9 * * 1-5"
    market: str = ""
    """Our market's name in events, empty to take all as ours."""
    limits: Mapping[Mode, Limits]
    quote_cadence: timedelta
    lease_renew_every: timedelta
    identity: Identity = field(default_factory=Identity)
    """That of this process; its `strategies` are left to the engine."""
    retention: RetentionPolicy = KEEP_ALL
    rebalance: RebalancePolicy | None = None
    """What is rebalanced to; None: nothing is."""
    rebalance_time_max: timedelta = timedelta(minutes=5)
    """From the release of what was held for the open."""
    execution_mode: ExecutionMode = ExecutionMode.AUTONOMOUS
    decision_rate: Rate | None = None
    """How often the decision makers are asked at most, in the clock's time."""
    decision_price: Price = FREE
    """What the decision makers cost; without prices there is no budget."""
    sectors: Mapping[str, str] = field(default_factory=dict)
    """Sector by symbol; empty switches the rule on sectors off."""
    self_trading: SelfTrading = SelfTrading.OFF
    tolerances: Tolerances = field(default_factory=Tolerances)
    reconcile_every: timedelta | None = None
    """Between comparisons with the venue besides the heartbeat's; None: there are no others."""
    cash_tolerance: Decimal | None = None
    """By how much cash may differ from our ledger; None: it is not compared."""
    phase: float = 0.0
    """Where in their intervals heartbeats, analyses and comparisons fall, from 0 to less than 1."""
    reconcile_at_rest_every: timedelta | None = None
    """The same while nothing is open or held; None: as often."""
    relay_looks_every: timedelta = timedelta(seconds=0.5)
    """Real time between the relay's looks when nothing of ours wakes it."""
    start_time_max: timedelta = timedelta(seconds=30)
    """Real time from the lease to the first cycle; later the agent is in its error state."""
    settle_time_max: timedelta = timedelta(seconds=10)
    """Real time for what was open to end before anything new begins."""
    failed_cycles_max: int = 10
    """Cycles of a type that fail in a row until the agent is in its error state."""
    heartbeat_time_max: timedelta = timedelta(minutes=2)
    stop_time_max: timedelta = timedelta(seconds=20)
    """Real time that a stop may take; the gateway gives up after 30 s."""

    def later(self, interval: timedelta) -> timedelta:
        """By how much what falls into every `interval` is later than its multiples."""
        milliseconds = interval / timedelta(milliseconds=1) * self.phase
        return timedelta(milliseconds=int(milliseconds))
