"""Which database this is, and which one the books were in before: to see one that is another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tradesaga.domain.ids import AgentId


@dataclass(slots=True)
class DamageSeen:
    """What whoever asks this process's database has found damaged: the latest, and how often."""

    what: str = ""
    number: int = 0

    def saw(self, what: str) -> None:
        """Another answer was refused for it."""
        self.what, self.number = what, self.number + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseIdentity:
    """`system` is given once, when server and database are made; so a dump that is restored into a
    new one has another. `timeline` rises with each promotion.
    """

    system: str
    timeline: int

    def told(self) -> str:
        """For people."""
        return f"system {self.system}, timeline {self.timeline}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLook:
    """What is here, and what was noted: None before the first note.

    `doubt` is what another agent in this database has seen that speaks against it.
    """

    here: DatabaseIdentity
    noted: DatabaseIdentity | None
    doubt: str = ""


class DatabaseMarks(Protocol):
    """Like the marks of the relay these rows are no state of the agent: they say where it lives."""

    async def look(self, agent_id: AgentId) -> DatabaseLook | None:
        """What is here and what was noted; None where the database tells us neither.

        Raises:
            Unavailable: no answer. A standby, which cannot be written to, gives none.
        """
        ...

    async def note(self, agent_id: AgentId, here: DatabaseIdentity) -> None:
        """From now on it is this one, and nothing speaks against it. Raises Unavailable."""
        ...

    async def doubt(self, agent_id: AgentId, why: str) -> None:
        """Tell the other agents, whose next look has it. Raises Unavailable."""
        ...
