"""All agents of a node halted by one call; those that it takes up soon after begin halted.

    driven here       each by its own kill switch, all at once: no order leaves any of them once
                      the first of them waits for anything
    taken up later    for `BEGINNING_SECONDS`, one that begins here begins halted: it was between
                      two nodes, or its node died before the database had the halt

Neither database nor bus is needed. Each agent is re-armed by itself, by a person with a reason; one
that was re-armed within that time and changes its node may be halted once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from structlog import get_logger

from tradesaga.domain.account import Account
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import EVERYWHERE, Rung
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.kill_switch import KillSwitch
from tradesaga.ports.halt_operations import HaltedAgent, NamedAgent
from tradesaga.ports.ladder_operations import LadderOperations

log = get_logger()
BEGINNING_SECONDS: Final = 60.0
"""Real time: longer than an agent is without a node, as long as any node lives."""


class Halting:
    """Implements `ports.halt_operations.HaltOperations` for one node.

    `driven` are the agents that act here now, `known` all that some node should drive.
    """

    def __init__(
        self,
        *,
        driven: Callable[[], Mapping[AgentId, LadderOperations]],
        known: Callable[[], Sequence[Account]],
        fleet: Fleet,
        monotonic: Callable[[], float],
    ) -> None:
        self._driven = driven
        self._known = known
        self._fleet = fleet
        self._monotonic = monotonic
        self._order: tuple[str, str, float] | None = None

    async def halt(self, *, reason: str, who: str) -> Sequence[HaltedAgent]:
        """See the port."""
        driven = self._driven()
        log.error("kill switch for all agents", agents=len(driven), reason=reason, who=who)
        self._order = reason, who, self._monotonic() + BEGINNING_SECONDS
        async with asyncio.TaskGroup() as group:
            tasks = {
                agent_id: group.create_task(
                    switch.kill(EVERYWHERE, reason=reason, who=who, rung=Rung.HALTED)
                )
                for agent_id, switch in driven.items()
            }
        names = {account.id: account.name for account in self._known()}
        return [
            HaltedAgent(
                agent=NamedAgent(id=agent_id, name=names.get(agent_id, "")), killed=task.result()
            )
            for agent_id, task in tasks.items()
        ]

    def begun(self, switch: KillSwitch) -> None:
        """An agent begins here: halted, if all were halted a moment ago."""
        if self._order is None:
            return
        reason, who, until = self._order
        if self._monotonic() >= until:
            self._order = None
        else:
            switch.begin_halted(reason, who)

    def others(self) -> Sequence[str]:
        """See the port."""
        return [one.url for one in self._fleet.nodes if one.id != self._fleet.own_id and one.url]

    def unheard(self, heard: Collection[AgentId]) -> Sequence[NamedAgent]:
        """See the port."""
        return [NamedAgent(id=a.id, name=a.name) for a in self._known() if a.id not in heard]
