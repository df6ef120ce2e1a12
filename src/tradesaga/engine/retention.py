"""Old rows out of the working tables, in small batches beside the work.

A run takes what the policy says is due, kind by kind, and rests after each batch as long as the
batch took: whoever trades has the database for himself half of the time at least. After
`RUN_SECONDS_MAX` it ends, and what is left is for the next one. It is in the log with its moments
before it begins and with its counts when it ends, and it only moves rows: nothing that anybody
reads changes by it. A run that fails says so and is tried again; it is no ground to stop trading.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from structlog import get_logger

from tradesaga.domain.errors import Fenced, Refused, Transient, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.retention import Kind, RetentionPolicy
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.archive import Archive
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.retention_operations import RetentionReport, RetentionRun

log = get_logger()
BATCH_ROWS: Final = 200
"""Of what a kind is counted in; the rows that belong to them come along."""
RUN_SECONDS_MAX: Final = 5.0
"""Real time: a person who asks for a run waits for it."""
REST_SECONDS_MAX: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Retention:
    """One agent's archivist; implements `ports.retention_operations`."""

    archive: Archive
    scribe: Scribe
    clock: Clock
    metrics: Metrics
    agent_id: AgentId
    policy: RetentionPolicy
    last: RetentionRun | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Archive every interval of the clock's time, for ever. Raises Fenced."""
        while True:
            if self.last is None or self.last.complete or self.last.problem:
                await self.clock.sleep_until(self.clock.now() + self.policy.interval)
            try:
                await self._run_once("engine")
            except Transient as error:  # the log could not be written: there was no run
                log.warning("nothing archived", error=str(error))
                self.last = None

    async def run_once(self, *, actor: str) -> RetentionRun:
        """See `ports.retention_operations`."""
        try:
            return await self._run_once(actor)
        except Fenced as error:
            raise Unavailable("another node holds the agent: ask that one") from error

    async def report(self) -> RetentionReport:
        """See `ports.retention_operations`."""
        try:
            tables = await self.archive.sizes()
        except Refused as error:
            raise Unavailable(str(error)) from error
        return RetentionReport(policy=self.policy, last=self.last, tables=tables)

    async def _run_once(self, actor: str) -> RetentionRun:
        async with self._turn:
            began_at = self.clock.now()
            cutoffs = self.policy.cutoffs(began_at)
            if cutoffs:
                due = {f"{kind}Before": moment for kind, moment in cutoffs.items()}
                await self._tell("retention.begun", actor, due)
            rows: Counter[str] = Counter()
            complete, problem = await self._move_all(cutoffs, rows)
            self.last = RetentionRun(
                began_at=began_at,
                ended_at=self.clock.now(),
                rows=dict(rows),
                complete=complete,
                problem=problem,
            )
            if cutoffs:
                body = {"rows": self.last.rows, "complete": complete, "problem": problem}
                await self._tell("retention.ended", actor, body)
            return self.last

    async def _move_all(
        self, cutoffs: Mapping[Kind, datetime], rows: Counter[str]
    ) -> tuple[bool, str]:
        """Count what is moved into `rows`; whether nothing is left, and what went wrong."""
        ends = self.clock.monotonic() + RUN_SECONDS_MAX
        complete, problems = True, list[str]()
        for kind, before in cutoffs.items():
            try:
                complete &= await self._move_kind(kind, before, ends, rows)
            except (Transient, Refused) as error:  # the other kinds may have more luck
                self.metrics.error_occurred(ErrorType.RETENTION)
                log.warning("not archived", kind=kind, error=str(error))
                problems.append(f"{kind}: {error}")
        return complete and not problems, "; ".join(problems)

    async def _move_kind(
        self, kind: Kind, before: datetime, ends: float, rows: Counter[str]
    ) -> bool:
        """Batch after batch; False when time is up before nothing is left."""
        while (began := self.clock.monotonic()) < ends:
            moved = await self._move(kind, before)
            if not any(moved.values()):
                return True
            rows.update(moved)
            for table, number in moved.items():
                self.metrics.rows_archived(table, number)
            await _rest(self.clock.monotonic() - began)
        return False

    async def _move(self, kind: Kind, before: datetime) -> Mapping[str, int]:
        """One batch, under whichever epoch is ours: what is old is so under any."""
        while True:
            epoch = self.scribe.epoch
            try:
                return await self.archive.move(
                    self.agent_id, kind, epoch=epoch, before=before, rows_max=BATCH_ROWS
                )
            except Fenced:
                # A stop has raised the epoch meanwhile, or the lease has passed on.
                if await self.scribe.epoch_settled() == epoch:
                    raise

    async def _tell(self, kind: str, actor: str, body: Mapping[str, object]) -> None:
        entry = Entry(kind=kind, subject=str(self.agent_id), actor=actor, body=body)
        await self.scribe.fact((), (entry,))


async def _rest(seconds: float) -> None:
    await asyncio.sleep(min(seconds, REST_SECONDS_MAX))  # noqa: TID251 -- the database's time, real
