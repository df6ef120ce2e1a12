"""The log and the decisions of one agent by pages: implements `ports.history.History`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradesaga.adapters.postgres.decoding import reader
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId
from tradesaga.ports.history import DecisionQuery, LoggedRow, LogQuery
from tradesaga.ports.trade_records import LAST

SEQ_MAX: Final = 2**63 - 1
_SQL: Final = {name: query.sql for name, query in load("history").items()}
_decision = reader(Decision)
COMMON_ACTORS: Final = ("engine", "neighbour:")
COMMON_KINDS: Final = (
    "cycle.started", "cycle.step", "cycle.completed", "analysis.requested", "decision.judged",
    "saga.step", "saga.steps", "saga.fact", "schedules.fired", "schedules.settled",
)  # fmt: skip
"""Nearly all of the log: what is neither theirs nor of these kinds has an index."""


def is_rare(query: LogQuery) -> bool:
    """Whether every row that is asked for is a rare one."""
    actor, kind = query.actor, query.kind
    return (
        actor is not None
        and not actor.startswith(COMMON_ACTORS[1])
        and not any(one.startswith(actor) for one in COMMON_ACTORS)
    ) or (kind is not None and not any(one.startswith(kind) for one in COMMON_KINDS))


class PostgresHistory:
    """Reads over a pool that others use, too."""

    def __init__(self, pool: ReaderPool, agent_id: AgentId) -> None:
        self._pool = pool
        self._agent_id = agent_id

    async def log(self, query: LogQuery) -> Sequence[LoggedRow]:
        """Rows of the log, the latest first."""
        before = SEQ_MAX if query.before is None else query.before
        rows = await self._pool.fetch(
            _SQL["rare_log" if is_rare(query) else "log"],
            query.agent_id or self._agent_id, before, query.since, query.until,
            query.actor, query.kind, query.limit,
        )  # fmt: skip
        return [
            LoggedRow(
                seq=row["seq"],
                at=row["at"],
                epoch=row["epoch"],
                kind=row["kind"],
                subject=row["subject"],
                actor=row["actor"],
                body=row["body"].encode(),
                event_type=row["event_type"],
                event_id=None if row["event_id"] is None else str(row["event_id"]),
                correlation_id=row["correlation_id"],
                causation_id=row["causation_id"],
                hash=row["hash"],
            )
            for row in rows
        ]

    async def decisions(self, query: DecisionQuery) -> Sequence[Decision]:
        """Decisions by creation, the latest first; the archived ones too."""
        rows = await self._pool.fetch(
            _SQL["decisions"], self._agent_id, *(query.after or LAST), query.symbol,
            query.cycle_id, query.verdict, query.limit,
        )  # fmt: skip
        return [_decision(row) for row in rows]
