"""The degradation ladder and the kill switch as an operator sees them: a third driving port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradesaga.domain.ladder import Cause, Ladder, Reason, Rung, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """An order without a verdict when the kill switch's time was up; its saga goes on."""

    client_order_id: str
    venue_order_id: str | None
    symbol: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """What a kill has done by the time of its answer.

    `marked`: a mark on this machine outlives the process. `recorded`: it is in the database.
    `orders` were open, cancels of `asked` of them are out, `ended` have the venue's verdict or
    were never sent, `unresolved` were escalated.
    """

    scope: Scope
    at: datetime
    marked: bool
    recorded: bool
    orders: int
    asked: int
    ended: int
    unresolved: Sequence[Unresolved]


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderView:
    """What is in force. `halted` are the scopes that the gate in memory refuses by itself."""

    ladder: Ladder
    rung: Rung
    recorded: bool
    halted: Sequence[Scope]
    last_kill: Killed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearmed:
    """What the re-arm ended, and what stands on."""

    ended: Sequence[Reason]
    view: LadderView


class LadderOperations(Protocol):
    """The switch needs neither database nor bus; letting go needs both a name and a database."""

    async def ladder(self) -> LadderView:
        """What is in force now; asks nobody, never raises."""
        ...

    async def kill(self, scope: Scope, *, reason: str, who: str, rung: Rung) -> Killed:
        """Halt `scope` (or keep it to REDUCE_ONLY): nothing is sent after the answer.

        `scope.subject` of a strategy may be its external id. Answers within two seconds, with
        Postgres and NATS down too.

        Raises:
            Invalid: no such strategy.
        """
        ...

    async def rearm(self, scope: Scope, *, operator: str, reason: str) -> Rearmed:
        """End what was halted in just that scope.

        Raises:
            Invalid: operator or reason is blank; no such strategy.
            Unavailable: the database is away, or the mark cannot be removed; it stays halted.
        """
        ...

    async def acknowledge(self, cause: Cause, scope: Scope, *, operator: str) -> LadderView:
        """Say that a person knows of the cause.

        Raises:
            Invalid: it does not stand, or is not left that way.
            Unavailable: the database is away.
        """
        ...
