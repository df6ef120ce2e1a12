"""What an operator can see and do about old rows: a driving port behind API and CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradesaga.domain.retention import RetentionPolicy
from tradesaga.ports.archive import TableSize


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRun:
    """What one run did: rows by table. `problem` says why it ended early, else it is empty.

    `complete` is whether nothing was left that was due.
    """

    began_at: datetime
    ended_at: datetime
    rows: Mapping[str, int]
    complete: bool
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """The policy in force, the last run of this process, and what the tables take."""

    policy: RetentionPolicy
    last: RetentionRun | None
    tables: Sequence[TableSize]


class RetentionOperations(Protocol):
    """Looks after old rows on the node that holds the agent."""

    async def report(self) -> RetentionReport:
        """How it stands. Raises Unavailable."""
        ...

    async def run_once(self, *, actor: str) -> RetentionRun:
        """Archive what is due, for a few seconds at most; audited. Repeated, it goes on.

        Raises:
            Unavailable: the database is away, or another node holds the agent.
        """
        ...
