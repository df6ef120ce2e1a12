"""A fake of the port of old rows: one run, one table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tradesaga.domain.retention import RetentionPolicy
from tradesaga.ports.archive import TableSize
from tradesaga.ports.retention_operations import RetentionReport, RetentionRun

BEGAN = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
RUN = RetentionRun(
    began_at=BEGAN,
    ended_at=BEGAN + timedelta(seconds=2),
    rows={"sagas": 1200, "orders": 1200, "inbox": 0},
    complete=True,
)


class FakeRetention:
    """Implements `ports.retention_operations`; `answer` is the run, `last` the one before."""

    def __init__(self) -> None:
        self.answer = RUN
        self.last: RetentionRun | None = None
        self.actors: list[str] = []

    async def report(self) -> RetentionReport:
        return RetentionReport(
            policy=RetentionPolicy(sagas=timedelta(days=30), inbox=timedelta(hours=36)),
            last=self.last,
            tables=[
                TableSize(
                    name="orders",
                    rows=12_000,
                    bytes=5 << 20,
                    archived_rows=1_000_000,
                    archived_bytes=400 << 20,
                )
            ],
        )

    async def run_once(self, *, actor: str) -> RetentionRun:
        self.actors.append(actor)
        return self.answer
