"""What an operator can ask of a running orchestrator: the driving port behind API and CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tradesaga.domain.agent import Agent, AgentCounts, Mode
from tradesaga.domain.as_read import AsRead
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.ids import CycleId
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.nodes import FleetReport
from tradesaga.ports.records import CycleRecord, Invariant, StrategyRecord
from tradesaga.ports.services import Health
from tradesaga.ports.trade_records import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer to start: the strategies that run."""

    agent: Agent
    strategies: Sequence[StrategyRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The answer to stop; the counts are those of the stored state after it.

    `in_flight` are the trades that have not ended: driven on, or waiting for a person.
    """

    agent: Agent
    open_positions: int
    pending_orders: int
    in_flight: Sequence[TradeState] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The agent as it is now. `uptime` is zero unless it runs or is paused."""

    agent: Agent
    detail: str
    uptime: timedelta
    counts: AgentCounts
    current_cycle: Cycle | None
    last_cycle: Cycle | None
    strategies: Sequence[StrategyRecord]
    next_cycle_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether this process can be asked; `leads` is false for a standby, which answers as well.

    `recovered` is whether a leader has settled what it found; a standby has nothing to settle.
    """

    database: bool
    leads: bool
    recovered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Whether the parts answer; `services` by their names in the specification."""

    database: bool
    event_bus: bool
    services: Mapping[str, Health]
    agent: Agent | None
    uptime: timedelta
    current_cycle: str | None
    reconciled_at: datetime | None = None
    """When the venue's books were last compared with ours; None: not in this process."""
    self_trading: str = ""
    """An engine that trades by itself: parked, not parked, adopt, off; empty: not looked at yet."""
    drifting: int = 0
    """Symbols on which that comparison found other positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantReport:
    """What the last watch over the database found; `checked_at` is None before the first.

    `runs_skipped` counts since this process began: a check still ran, or the database was away.
    """

    checked_at: datetime | None = None
    runs_skipped: int = 0
    invariants: Sequence[Invariant] = ()

    @property
    def broken(self) -> Sequence[Invariant]:
        """Those that do not hold."""
        return [one for one in self.invariants if one.violations]


class Operations(Protocol):
    """Every command is idempotent, durable and audited under `actor` before the call returns.

    One with `as_read` raises Stale, and does nothing, when the agent is at another version.
    """

    async def start(
        self,
        *,
        strategies: Sequence[str] | None,
        mode: Mode | None,
        actor: str,
        as_read: AsRead = None,
    ) -> Started:
        """Run the agent; `strategies` (ids or external ids) makes just these active.

        Raises:
            Invalid: an unknown strategy, all of them named.
            Unavailable: the database is away, or another node holds the agent.
        """
        ...

    async def stop(
        self, *, reason: str, cancel_open_orders: bool, actor: str, as_read: AsRead = None
    ) -> Stopped:
        """Stop: after the answer nothing new is sent but cancels. Raises Unavailable."""
        ...

    async def pause(
        self,
        *,
        duration: timedelta | None,
        actor: str,
        reason: str = "",
        as_read: AsRead = None,
    ) -> Agent:
        """No entries, for `duration` or until resume; `reason` is for the audit log.

        Raises:
            IllegalTransition: the agent does not run.
            Unavailable: as start.
        """
        ...

    async def resume(self, *, actor: str, reason: str = "", as_read: AsRead = None) -> Agent:
        """Clear the operator's pause; reasons that remain are in the agent. Raises as pause."""
        ...

    async def status(self) -> Status:
        """The agent as it is now. Raises Unavailable."""
        ...

    async def strategies(self) -> Sequence[StrategyRecord]:
        """All strategies by name. Raises Unavailable."""
        ...

    async def cycles(
        self, *, limit: int, status: CycleStatus | None, after: Place | None = None
    ) -> Sequence[Cycle]:
        """The latest cycles, latest first, those after a place. Raises Unavailable."""
        ...

    async def cycle(self, cycle_id: CycleId) -> CycleRecord:
        """One cycle with decisions, orders and logs. Raises NotFound, Unavailable."""
        ...

    async def cancel_cycle(self, cycle_id: CycleId, *, reason: str, actor: str) -> CycleRecord:
        """End a running cycle between its commits; its sagas go on. Repeated: as it ended.

        Raises:
            NotFound: there is no such cycle.
            IllegalTransition: it completed or failed.
            Unavailable: as start; or it has not ended in time.
        """
        ...

    async def fleet(self) -> FleetReport:
        """The nodes that live, as this one last saw them."""
        ...

    async def checkpoints(
        self, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        """The latest checkpoints by epoch and time, latest first. Raises Unavailable."""
        ...

    async def invariants(self) -> InvariantReport:
        """The last result of the watch over the database; asks nobody, never raises."""
        ...

    async def readiness(self) -> Readiness:
        """Whether it can be asked. Raises nothing."""
        ...

    async def health(self) -> HealthReport:
        """Never raises: what does not answer is reported as such."""
        ...
