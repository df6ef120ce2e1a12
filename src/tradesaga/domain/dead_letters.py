"""Messages from the bus that had no effect, put aside with the reason until a person ends them.

    OPEN --replay--> REPLAYED     handled once more, this time with an effect
      +----discard-> DISCARDED    a person says that it needs none

A letter has one end, under an id that is a function of the letter: no repeat makes another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import AgentId, derived


class LetterState(StrEnum):
    """OPEN waits for a person."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterEnd:
    """What a person did about a letter; `who` and `reason` are their words."""

    id: UUID
    agent_id: AgentId
    letter_id: int
    state: LetterState
    who: str
    reason: str
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it was received; `problem` says why it had no effect."""

    id: int
    subject: str
    problem: str
    body: bytes
    received_at: datetime
    end: LetterEnd | None = None

    @property
    def state(self) -> LetterState:
        """Where it stands."""
        return LetterState.OPEN if self.end is None else self.end.state


def must_be_open(letter: Letter) -> None:
    """Raises IllegalTransition for a letter that has ended."""
    if letter.end is not None:
        raise IllegalTransition(
            f"dead letter {letter.id} is {letter.state} since {letter.end.ended_at:%Y-%m-%d %H:%M}",
            state=letter.state,
        )


def ended(
    letter: Letter, agent_id: AgentId, state: LetterState, *, who: str, reason: str, now: datetime
) -> LetterEnd:
    """The end of an open letter. Raises IllegalTransition."""
    must_be_open(letter)
    return LetterEnd(
        id=derived(agent_id, "letter", letter.id),
        agent_id=agent_id,
        letter_id=letter.id,
        state=state,
        who=who,
        reason=reason,
        ended_at=now,
    )
