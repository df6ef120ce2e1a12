"""Are these the books of before? Asked of whatever remembers, by each new holder of the lease.

    the database   is another system than was noted, or on another timeline: restored, promoted
    the bus        holds an event of ours from a row that our log does not have: books set back
    the venue      has an order under an id of ours, from before this epoch, that they do not have
    any read       finds a page that is damaged

Each is BOOKS_IN_DOUBT: HALTED until a person has looked. The halt is stored before what it was seen
by is: who dies between the two sees it again. A re-arm needs nothing else: what was seen is noted,
and counts as known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Cause
from tradesaga.engine.ladder_state import LadderState
from tradesaga.ports.clock import Clock
from tradesaga.ports.database import DamageSeen, DatabaseLook, DatabaseMarks

RESTORE: Final = "restore a backup (docs/howto/restore-a-backup.md), then re-arm with a reason"
REMEDY: Final = "compare the books with the venue (`tradesaga verify`), then re-arm with a reason"


@dataclass(slots=True, kw_only=True)
class FormerBooks:
    """Of one agent; without `marks` the database is not asked.

    `since` is when this holder of the lease began; None while there is nothing of before that could
    have been set back: the first life in this database.
    """

    agent_id: AgentId
    marks: DatabaseMarks | None
    damage: DamageSeen
    ladder: LadderState
    clock: Clock
    since: datetime | None = field(default=None, init=False)
    _damages: int = field(init=False)

    def __post_init__(self) -> None:
        self._damages = self.damage.number  # what was found before this agent began is known

    async def check(self) -> None:
        """Compare the database with what was noted. Raises Unavailable, Fenced."""
        now = self.clock.now()
        look = await self._looked()
        if look is not None and look.noted is not None:
            self.since = now

    async def heed(self) -> None:
        """Take over what another agent has seen since `check`. Raises Unavailable, Fenced."""
        await self._looked()

    async def _looked(self) -> DatabaseLook | None:
        """What was noted before; in doubt, if that or anybody speaks against what is here."""
        look = None if self.marks is None else await self.marks.look(self.agent_id)
        if self.marks is None or look is None:
            return None
        if why := _other(look) or look.doubt:
            await self.in_doubt(why)
        if look.noted != look.here or look.doubt:
            await self.marks.note(self.agent_id, look.here)
        return look

    def look(self) -> None:
        """Enter what has been found damaged since the last look; never waits."""
        if self._damages != self.damage.number:
            self._damages = self.damage.number
            why = f"{self.damage.what}; {RESTORE}"
            self.ladder.enter(Cause.BOOKS_IN_DOUBT, f"the database is damaged: {why}")

    async def in_doubt(self, why: str) -> None:
        """Something was seen: HALTED, and stored, when it returns. Raises Unavailable, Fenced."""
        self.ladder.enter(Cause.BOOKS_IN_DOUBT, f"{why}; {REMEDY}")
        await self.ladder.write()

    async def set_back(self, why: str) -> None:
        """As `in_doubt`, for all agents of this database. Raises Unavailable, Fenced."""
        await self.in_doubt(why)
        if self.marks is not None:
            await self.marks.doubt(self.agent_id, why)


def _other(look: DatabaseLook) -> str:
    if look.noted is None or look.noted == look.here:
        return ""
    return (
        f"this is another database than before: {look.here.told()}, noted was {look.noted.told()}"
    )
