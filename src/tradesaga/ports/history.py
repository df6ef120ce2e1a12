"""What was written for good, read for people: the log of one agent, and its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.ports.trade_records import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which rows of the log; `actor` and `kind` are how they begin, None narrows nothing.

    From `since` on and before `until`, below the number `before`. `agent_id`: of that agent's log.
    """

    limit: int
    agent_id: AgentId | None = None
    before: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """One row of the log; `body` is JSON, an object, `hash` that of the chain up to here."""

    seq: int
    at: datetime
    epoch: int
    kind: str
    subject: str
    actor: str
    body: bytes
    event_type: str | None
    event_id: str | None
    correlation_id: str | None
    causation_id: str | None
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionQuery:
    """Which decisions; None narrows nothing."""

    limit: int
    after: Place | None = None
    symbol: str | None = None
    cycle_id: CycleId | None = None
    verdict: Verdict | None = None


class History(Protocol):
    """Reads for one agent. Both raise Unavailable when the database gives no answer."""

    async def log(self, query: LogQuery) -> Sequence[LoggedRow]:
        """Rows of the log, the latest first."""
        ...

    async def decisions(self, query: DecisionQuery) -> Sequence[Decision]:
        """Decisions by creation, the latest first; the archived ones too."""
        ...
