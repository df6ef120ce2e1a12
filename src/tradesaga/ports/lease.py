"""Who may act for an agent: one holder at a time, each with an epoch of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tradesaga.domain.ids import AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The lease as taken or renewed; `until` is on the clock port's monotonic scale.

    `until` is counted from before the request was sent, so it is never later than the store's.
    `wait` is how long a new holder must let pass before it opens orders: zero after a clean
    hand-over or when the old holder is provably dead.
    """

    epoch: int
    until: float
    wait: timedelta


class Lease(Protocol):
    """A row with a time to live, compared and swapped; every write is fenced by its epoch."""

    async def take(self, agent_id: AgentId) -> Held | None:
        """Take it, or None while another holder's time runs. Raises the epoch by one.

        Raises:
            Unavailable: the database gave no answer.
        """
        ...

    async def freed(self, within: timedelta) -> None:
        """Wait, after a take that was refused, until another may succeed; at most `within`.

        Real time. It asks nobody: the holder's time, as the take saw it, is over, or the holder
        is seen to be dead.
        """
        ...

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """Make it last another time to live.

        Raises:
            Fenced: another holder has it.
            Unavailable: the database gave no answer; it may have been renewed.
        """
        ...

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """Keep it under a new epoch: nothing written under the old one can be committed any more.

        Raises:
            Fenced, Unavailable: as renew.
        """
        ...

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """Give it up at once: a clean hand-over; silent if it is lost already."""
        ...


class LeasesAhead(Protocol):
    """Leases of many agents, taken before those agents begin here: so one statement takes all."""

    async def hold_ahead(
        self, wanted: Collection[AgentId], *, keeping: Collection[AgentId]
    ) -> Collection[AgentId]:
        """Take what is free of `wanted`; give up what is held so and is not among `keeping`.

        Returns all that are held so, the first taken first. `wanted` names no agent that has begun
        here: its epoch would be raised. What is held so is renewed, and `Lease.take` hands it to
        its agent. Asked again as often as wished: the database is not troubled while nothing can
        have changed.

        Raises:
            Unavailable: the database gave no answer.
        """
        ...
