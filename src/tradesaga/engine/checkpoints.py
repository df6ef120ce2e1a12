"""Takes a checkpoint when a process has taken over, and when it hands over in good order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from structlog import get_logger

from tradesaga.domain.checkpoint import Identity, Occasion, digest_of, following
from tradesaga.domain.ids import AgentId, derived
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert
from tradesaga.ports.records import Records

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """`identity` is that of this process, but for the strategies, which are stored."""

    scribe: Scribe
    records: Records
    clock: Clock
    book: StrategyBook
    agent_id: AgentId
    identity: Identity

    async def take(self, occasion: Occasion, report: Mapping[str, Any]) -> None:
        """Commit a checkpoint with its report, once an epoch and occasion.

        Raises:
            Fenced, Unavailable: as the journal.
        """
        epoch = self.scribe.epoch
        identity = replace(self.identity, strategies=digest_of(self.book.known()))
        before = next(iter(await self.records.checkpoints(self.agent_id, limit=1)), None)
        taken = following(
            before,
            identity,
            checkpoint_id=derived(self.agent_id, "checkpoint", occasion, epoch),
            agent_id=self.agent_id,
            occasion=occasion,
            epoch=epoch,
            now=self.clock.now(),
            report=report,
        )
        body = {
            "occasion": taken.occasion,
            "lineage": taken.lineage,
            "release": taken.release,
            "code": taken.code,
            "configuration": taken.configuration,
            "strategies": taken.strategies,
            "changed": list(taken.changed),
            "report": dict(report),
        }
        entry = Entry(
            kind="checkpoint.taken", subject=str(self.agent_id), actor="engine", body=body
        )
        await self.scribe.fact([Insert(taken)], [entry])
        if taken.changed:
            log.warning(
                "taken over under another identity",
                changed=list(taken.changed),
                lineage=taken.lineage,
            )
