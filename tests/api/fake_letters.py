"""A fake of the port of dead letters: one that is open; an end is kept with who made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tests.domain.trades import START
from tradesaga.domain.dead_letters import Letter, LetterState, ended
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import DEFAULT_AGENT

OPEN = Letter(
    id=7,
    subject="ai-trader.trade.order.filled",
    problem="no envelope",
    body=b"\xff{not json",
    received_at=START,
)


class FakeLetters:
    """Implements `ports.dead_letters.DeadLetterOperations`."""

    def __init__(self) -> None:
        self.one = OPEN
        self.more: Sequence[Letter] = ()
        self.calls: list[tuple[str, dict[str, object]]] = []

    async def letters(
        self, *, limit: int, state: LetterState | None, before: int | None
    ) -> Sequence[Letter]:
        self.calls.append(("list", {"limit": limit, "state": state, "before": before}))
        found = [
            one
            for one in (self.one, *self.more)
            if state in (None, one.state) and (before is None or one.id < before)
        ]
        return found[:limit]

    async def letter(self, letter_id: int) -> Letter:
        if letter_id != self.one.id:
            raise NotFound(f"there is no dead letter {letter_id}")
        return self.one

    async def replay(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        return await self._end(letter_id, LetterState.REPLAYED, by, reason, actor)

    async def discard(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        return await self._end(letter_id, LetterState.DISCARDED, by, reason, actor)

    async def _end(
        self, letter_id: int, state: LetterState, by: str, reason: str, actor: str
    ) -> Letter:
        self.calls.append((state, {"by": by, "reason": reason, "actor": actor}))
        found = await self.letter(letter_id)
        now = START + timedelta(minutes=1)
        end = ended(found, DEFAULT_AGENT, state, who=by, reason=reason, now=now)
        self.one = replace(found, end=end)
        return self.one
