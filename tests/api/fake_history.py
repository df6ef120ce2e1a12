"""A fake of the port of history: a log of three rows, and two decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.domain.trades import DECISION
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import DecisionId
from tradesaga.ports.history import DecisionQuery, LoggedRow, LogQuery
from tradesaga.ports.trade_records import LAST

NOON = datetime(2020, 12, 15, 17, tzinfo=UTC)
ROW = LoggedRow(
    seq=7,
    at=NOON,
    epoch=3,
    kind="agent.stopped",
    subject="00000000-0000-7000-8000-000000000001",
    actor="api:ann#t1@127.0.0.1",
    body=b'{"reason":"lunch","equity":100000.10}',
    event_type=None,
    event_id=None,
    correlation_id="c1",
    causation_id=None,
    hash=bytes(32),
)
ROWS = [
    ROW,
    replace(ROW, seq=6, kind="cycle.completed", actor="engine", event_type="x", event_id="e"),
    replace(ROW, seq=2, kind="agent.started", at=NOON - timedelta(hours=1)),
]
LATEST = replace(DECISION, created_at=NOON)
EARLIER = NOON - timedelta(minutes=1)
DECISIONS = [LATEST, replace(LATEST, id=DecisionId(UUID(int=9)), symbol="BOLT", created_at=EARLIER)]


class FakeHistory:
    """Implements `ports.history`; records what was asked."""

    def __init__(self) -> None:
        self.calls: list[LogQuery | DecisionQuery] = []

    async def log(self, query: LogQuery) -> Sequence[LoggedRow]:
        self.calls.append(query)
        found = [
            row
            for row in ROWS
            if (query.before is None or row.seq < query.before)
            and (query.since is None or row.at >= query.since)
            and (query.until is None or row.at < query.until)
            and row.actor.startswith(query.actor or "")
            and row.kind.startswith(query.kind or "")
        ]
        return found[: query.limit]

    async def decisions(self, query: DecisionQuery) -> Sequence[Decision]:
        self.calls.append(query)
        found = [
            one
            for one in DECISIONS
            if (one.created_at, one.id) < (query.after or LAST)
            and query.symbol in (None, one.symbol)
            and query.cycle_id in (None, one.cycle_id)
            and query.verdict in (None, one.verdict)
        ]
        return found[: query.limit]
