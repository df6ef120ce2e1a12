"""Keys of commands: looked up, written with the effect, answered.

The row of a key is in the first commit of its command, so a crash leaves either both or neither.
The answer follows in a commit of its own. Whoever repeats meanwhile is told to wait; whoever
repeats a command whose answer was lost with its process is told that it was taken, and nothing is
done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from structlog import get_logger

from tradesaga.domain.errors import Conflict, TradesagaError, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.repeats import KeptAnswer, taken
from tradesaga.engine.claims import Claim, claimed
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.access_records import AccessRecords
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Update

log = get_logger()
LOOK_TIME_MAX: Final = timedelta(seconds=1)
KEEP_TIME_MAX: Final = timedelta(seconds=1)
"""An answer is not held back for longer: the kill switch answers with the database down."""


@dataclass(slots=True)
class _Attempt:
    """Implements `ports.repeat_operations.Attempt`."""

    book: RepeatBook
    row: KeptAnswer
    earlier: KeptAnswer | None = None
    claim: Claim | None = None

    @property
    def is_same(self) -> bool:
        """See `ports.repeat_operations`."""
        return self.earlier is not None and self.earlier.fingerprint == self.row.fingerprint

    async def keep(self, *, status: int, media_type: str, body: str, withheld: bool) -> None:
        """See `ports.repeat_operations`."""
        assert self.claim is not None, "an earlier answer is not kept again"
        rides, self.claim.is_open = self.claim.rides, False
        if not rides and not 200 <= status < 300:
            return  # it was refused and has had no effect: the key is free for another try
        answered = replace(
            self.row,
            status=status,
            media_type="" if withheld else media_type,
            body="" if withheld else body,
            withheld=withheld,
            version=self.row.version + rides,
        )
        await self.book.keep(Update(answered) if rides else Insert(answered), answered)


class RepeatBook:
    """Implements `ports.repeat_operations.RepeatOperations`."""

    def __init__(
        self, *, scribe: Scribe, records: AccessRecords, clock: Clock, agent_id: AgentId
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._at_work: set[UUID] = set()

    @asynccontextmanager
    async def attempt(
        self, *, token_id: str, key: str, method: str, path: str, body: bytes, must_know: bool
    ) -> AsyncIterator[_Attempt]:
        """See `ports.repeat_operations`."""
        row = taken(
            self._agent_id,
            token_id=token_id,
            key=key,
            method=method,
            path=path,
            body=body,
            now=self._clock.now(),
        )
        if row.id in self._at_work:
            raise Conflict("the same key is being worked on: repeat it in a moment")
        self._at_work.add(row.id)
        try:
            attempt = _Attempt(self, row, await self._earlier(row.id, must_know=must_know))
            if attempt.earlier is not None:
                yield attempt
                return
            with claimed(Insert(row)) as claim:
                attempt.claim = claim
                yield attempt
        finally:
            self._at_work.discard(row.id)

    async def keep(self, row: Insert | Update, answered: KeptAnswer) -> None:
        """Commit an answer, if that can be done in time; the effect stands without it."""
        body = {"operation": answered.operation, "status": answered.status}
        entry = Entry(
            kind="command.answered",
            subject=str(answered.id),
            actor=f"token:{answered.token_id}",
            body=body,
        )
        try:
            async with asyncio.timeout(KEEP_TIME_MAX.total_seconds()):
                await self._scribe.fact([row], [entry])
        except (TradesagaError, TimeoutError) as error:
            log.warning("an answer is not kept", operation=answered.operation, error=repr(error))

    async def _earlier(self, row_id: UUID, *, must_know: bool) -> KeptAnswer | None:
        try:
            async with asyncio.timeout(LOOK_TIME_MAX.total_seconds()):
                return await self._records.kept_answer(self._agent_id, row_id)
        except (Unavailable, TimeoutError) as error:
            if must_know:
                raise Unavailable("whether this was done before cannot be told now") from error
            return None
