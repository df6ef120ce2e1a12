"""What becomes of messages that were put aside: handled once more, or discarded by a person.

A letter is handled again by the coordinator itself, as a delivery of its own that no bus knows:
the inbox keeps an effect that it had before from happening twice. Its end is committed after the
effect, so a crash between them leaves it open, and a repeat finds the effect in the inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from tradesaga.domain import dead_letters as machine
from tradesaga.domain.dead_letters import Letter, LetterState
from tradesaga.domain.errors import Conflict, IllegalTransition, NotFound, Rejected, Unavailable
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import AgentId
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.bus import Delivery, ReadMessage
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert
from tradesaga.ports.records import Records


class _Answer(Enum):
    ACKNOWLEDGED = auto()
    RETRIED = auto()
    DISCARDED = auto()


class _Again:
    """Implements `ports.bus.Delivery` for one letter."""

    problem = ""

    def __init__(self, letter: Letter, incoming: Incoming) -> None:
        self.incoming: Incoming | None = incoming
        self.subject = letter.subject
        self.body = letter.body
        self.answer: _Answer | None = None

    async def acknowledge(self) -> None:
        """Its effect is durable."""
        self.answer = _Answer.ACKNOWLEDGED

    async def retry_later(self) -> None:
        """It could not be handled now."""
        self.answer = _Answer.RETRIED

    async def discard(self) -> None:
        """It cannot be handled."""
        self.answer = _Answer.DISCARDED


Handle = Callable[[Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Implements `ports.dead_letters.DeadLetterOperations`; one command at a time."""

    agent_id: AgentId
    records: Records
    scribe: Scribe
    clock: Clock
    read: ReadMessage
    handle: Handle
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def letters(
        self, *, limit: int, state: LetterState | None, before: int | None
    ) -> Sequence[Letter]:
        """See `ports.dead_letters`."""
        return await self.records.letters(self.agent_id, limit=limit, state=state, before=before)

    async def letter(self, letter_id: int) -> Letter:
        """See `ports.dead_letters`."""
        found = await self.records.letter(self.agent_id, letter_id)
        if found is None:
            raise NotFound(f"there is no dead letter {letter_id}")
        return found

    async def replay(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        """See `ports.dead_letters`."""
        async with self._turn:
            letter = await self.letter(letter_id)
            if letter.state is LetterState.REPLAYED:
                return letter
            machine.must_be_open(letter)
            await self._handle_again(letter)
            return await self._end(letter, LetterState.REPLAYED, by, reason, actor)

    async def discard(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        """See `ports.dead_letters`."""
        async with self._turn:
            letter = await self.letter(letter_id)
            if letter.state is LetterState.DISCARDED:
                return letter
            return await self._end(letter, LetterState.DISCARDED, by, reason, actor)

    async def _handle_again(self, letter: Letter) -> None:
        try:
            delivery = _Again(letter, self.read(letter.subject, letter.body))
            await self.handle(delivery)
        except (Rejected, Conflict) as error:
            raise IllegalTransition(
                f"dead letter {letter.id} still has no effect: {error}",
                state=letter.state,
                allowed=("replay", "discard"),
            ) from error
        if delivery.answer is not _Answer.ACKNOWLEDGED:
            raise Unavailable(
                f"dead letter {letter.id} is not settled yet; it stays open, replay it again"
            )

    async def _end(
        self, letter: Letter, state: LetterState, by: str, reason: str, actor: str
    ) -> Letter:
        end = machine.ended(
            letter, self.agent_id, state, who=by, reason=reason, now=self.clock.now()
        )
        body = {"letter": letter.id, "subject": letter.subject, "by": by, "reason": reason}
        entry = Entry(kind=f"letter.{state}", subject=str(letter.id), actor=actor, body=body)
        try:
            await self.scribe.fact((Insert(end),), (entry,))
        except Conflict:  # a commit in doubt had been taken
            return await self.letter(letter.id)
        return await self.letter(letter.id)
