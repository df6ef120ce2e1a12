"""Ends a timed pause at its moment, also one that passed while no process held the agent.

The moment is in the agent's row, so that no restart or takeover forgets it. Whether it has come is
decided by the machine on the latest state: a pause that was prolonged a moment ago stands.
"""

from __future__ import annotations

from datetime import timedelta

from structlog import get_logger

from tradesaga.domain.agent import Agent, Elapse
from tradesaga.domain.errors import Unavailable
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.clock import Clock

log = get_logger()
RETRY_AFTER = timedelta(seconds=5)
"""When the journal takes no more: how long until the next try."""


class PauseEnd:
    """Watches the one moment at which the agent's pause ends by itself."""

    def __init__(self, *, state: AgentState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def run(self) -> None:
        """Watch for ever. Raises Fenced when the lease has passed on."""
        while True:
            self._state.changed.clear()
            due = self._state.agent.resume_at
            if due is None:
                await self._state.changed.wait()
            elif not await news_or_moment(self._clock, self._state.changed, due):
                try:
                    await self.run_once()
                except Unavailable as error:
                    log.warning("the end of the pause waits", error=str(error))
                    await self._clock.sleep_until(self._clock.now() + RETRY_AFTER)

    async def run_once(self) -> Agent:
        """End the pause if its time is over. Raises Fenced, Unavailable."""
        return await self._state.order(
            Elapse(), actor="engine", kind="agent.resumed", reason="the pause has run out"
        )
