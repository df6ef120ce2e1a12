"""Being the one who acts: the lease, its epoch, and the guard before each send.

A send to a venue cannot be fenced by the database. So it is allowed only while at least
`SEND_MARGIN` of the lease is left at that instant, counted from before the last renewal was asked
for. Losing the lease ends the process's work at once: `hold` raises, and whoever supervises the
process starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tradesaga.domain.errors import Fenced, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.orders import Order
from tradesaga.ports.clock import Clock
from tradesaga.ports.lease import Held, Lease

SEND_MARGIN = timedelta(milliseconds=500)


class Leadership:
    """The lease of one agent, as this process holds it."""

    def __init__(
        self,
        *,
        lease: Lease,
        clock: Clock,
        agent_id: AgentId,
        renew_every: timedelta,
        on_epoch: Callable[[AgentId, int], Awaitable[object]],
        hindrance: Callable[[], str] = lambda: "",
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._agent_id = agent_id
        self._renew_every = renew_every
        self._on_epoch = on_epoch
        self._hindrance = hindrance
        self._held: Held | None = None
        self._opens_at = 0.0
        self._turn = asyncio.Lock()

    @property
    def epoch(self) -> int:
        """The epoch under which to write.

        Raises:
            Fenced: this process holds no lease.
        """
        if self._held is None:
            raise Fenced("this process does not hold the agent's lease")
        return self._held.epoch

    async def take(self) -> int:
        """Wait until the lease is ours; returns its epoch. It is not asked for with a hindrance."""
        while True:
            held = None if self._hindrance() else await self._taken()
            if held is not None:
                await self._on_epoch(self._agent_id, held.epoch)
                self._held = held
                self._opens_at = self._clock.monotonic() + held.wait.total_seconds()
                return held.epoch
            await self._lease.freed(self._renew_every)

    async def _taken(self) -> Held | None:
        try:
            return await self._lease.take(self._agent_id)
        except Unavailable:
            return None

    async def hold(self) -> None:
        """Renew for ever.

        Raises:
            Fenced: another holder has the lease.
        """
        while True:
            await asyncio.sleep(self._renew_every.total_seconds())  # noqa: TID251 -- real time
            async with self._turn:
                try:
                    self._held = await self._lease.renew(self._agent_id, self.epoch)
                except Unavailable:
                    continue  # the guard of each send watches the time that is left

    async def raise_epoch(self) -> int:
        """Keep the lease under a new epoch: no intent of the old one can be committed any more.

        Raises:
            Fenced, Unavailable: as the lease port.
        """
        async with self._turn:
            held = await self._lease.raise_epoch(self._agent_id, self.epoch)
            await self._on_epoch(self._agent_id, held.epoch)
            self._held = held
            return held.epoch

    async def epoch_settled(self) -> int:
        """The epoch, once a change of it that is under way is done. Raises Fenced as `epoch`."""
        async with self._turn:
            return self.epoch

    async def release(self) -> None:
        """Hand over cleanly."""
        if self._held is not None:
            epoch, self._held = self._held.epoch, None
            await self._lease.release(self._agent_id, epoch)

    def may_send(self, *, opening: bool) -> bool:
        """Whether an order may be sent at this instant; cancels need no leave."""
        now = self._clock.monotonic()
        if self._held is None or self._held.until - now < SEND_MARGIN.total_seconds():
            return False
        return not opening or now >= self._opens_at

    def refusal_to_send(self, order: Order) -> str:
        """Why the lease does not let the order go at this instant; empty when it does."""
        return "" if self.may_send(opening=order.opening) else "no time of the lease is left"
