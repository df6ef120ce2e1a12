"""What runs as a cycle: its steps, and what they gather until the next commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tradesaga.domain.cycle import Cycle, CycleError
from tradesaga.engine.intents import Intents
from tradesaga.ports.journal import CycleLog, Entry, Row


@dataclass(slots=True)
class CycleWork:
    """What the steps of one cycle gather; a cycle type extends it with its own findings.

    `figures` are fields of Cycle; `rows`, `entries`, `logs` and `intents` wait for the next commit.
    """

    cycle: Cycle
    actor: str = "engine"
    committed: Cycle | None = None
    strategies: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    logs: list[CycleLog] = field(default_factory=list)
    intents: Intents | None = None
    errors: list[CycleError] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the beginning is written."""

    def note(self, level: str, message: str, now: datetime, **context: object) -> None:
        """A line for `cycle_logs`, committed with the step."""
        self.logs.append(
            CycleLog(
                cycle_id=self.cycle.id, level=level, message=message, context=context, timestamp=now
            )
        )

    def as_written(self) -> None:
        """Take the cycle back to what is stored, after a commit that was not taken."""
        if self.committed is not None and self.cycle.version > self.committed.version:
            self.cycle = self.committed

    def give_up_refused(self) -> None:
        """Forget what a Conflict kept from being written: it will be refused again."""
        self.rows.clear()
        self.entries.clear()
        self.logs.clear()

    def fail(self, strategy_id: str, error: str, now: datetime) -> None:
        """One strategy failed; the others go on."""
        self.errors.append(CycleError(strategy_id=strategy_id, error=error))
        self.note("error", error, now, strategyId=strategy_id)


Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A cycle that can be run: its work, and a function for each of its steps."""

    work: CycleWork
    steps: Mapping[str, Step]
    commit_after: frozenset[str]
    """Steps whose findings must be durable before the next one begins; the last always is."""
    ahead: Step | None = None
    """What the first step begins with, done while the cycle's beginning is being committed.

    It asks and changes nothing; what it raises fails the cycle, as if the step had raised it. The
    steps follow it at once, but none of them commits anything before the beginning is written.
    """
