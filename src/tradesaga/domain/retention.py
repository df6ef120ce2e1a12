"""How long ended rows stay in the working tables, and what is due at a moment.

Each kind is moved by its own age. Sagas go before fills and decisions: these wait for their saga.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NEVER = timedelta(0)
"""As a time to keep: for ever."""


class Kind(StrEnum):
    """What is moved together, in the order of a run."""

    TRADES = "trades"
    FILLS = "fills"
    DECISIONS = "decisions"
    CYCLES = "cycles"
    INBOX = "inbox"
    DEAD_LETTERS = "dead_letters"
    RELAY_MARKS = "relay_marks"
    REPEATS = "repeats"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long each kind is kept, by the clock's time, and how often that is looked after.

    `sagas` is from the end of a saga and holds for its order, reservation, fills, trades and
    decision, and for decisions without one. `NEVER` keeps a kind where it is.
    """

    sagas: timedelta = NEVER
    cycles: timedelta = NEVER
    inbox: timedelta = NEVER
    dead_letters: timedelta = NEVER
    relay_marks: timedelta = NEVER
    repeats: timedelta = NEVER
    interval: timedelta = timedelta(hours=1)

    def kept(self, kind: Kind) -> timedelta:
        """How long rows of `kind` are kept."""
        match kind:
            case Kind.TRADES | Kind.FILLS | Kind.DECISIONS:
                return self.sagas
            case Kind.CYCLES:
                return self.cycles
            case Kind.INBOX:
                return self.inbox
            case Kind.DEAD_LETTERS:
                return self.dead_letters
            case Kind.RELAY_MARKS:
                return self.relay_marks
            case Kind.REPEATS:
                return self.repeats

    def cutoffs(self, now: datetime) -> Mapping[Kind, datetime]:
        """What ended before these moments is due; kinds that are kept for ever are left out."""
        return {kind: now - self.kept(kind) for kind in Kind if self.kept(kind) > NEVER}


KEEP_ALL = RetentionPolicy()
"""Everything stays where it is."""
