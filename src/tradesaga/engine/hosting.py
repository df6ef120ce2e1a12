"""The agents of this node beside the default one: begun, watched, handed over, each by itself.

    agents that are driven ──falls to this node?──► their leases taken, all at once
                                                     begun, some at a time ──► its own orchestrator
                           ──falls to another?───► fenced, drained, released, some at a time

An agent is fenced by its own lease and epoch, so that it matters to nobody else whether one fails:
what ends by an error is begun again after a pause that grows. Who falls to whom is asked whenever
the nodes or the agents have changed (`domain.spreading`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from structlog import get_logger

from tradesaga.domain.account import Account
from tradesaga.domain.errors import Fenced, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.spreading import able, node_for
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.agent_metrics import AgentMetrics
from tradesaga.engine.fleet import Fleet
from tradesaga.ports.lease import LeasesAhead

log = get_logger()
LOOK_SECONDS: Final = 0.02
BEGINNING_MAX: Final = 32
"""So many are recovered at a time: each reads its state and settles what was open.

What they read is read for many of them at once, so that few at a time would cost more.
"""
UNREADY_MAX: Final = 96
"""So many are being recovered, or compare their books with their accounts: that waits for others'
answers, and whoever has not been recovered yet need not wait with them."""
HANDED_OVER_MAX: Final = 8
"""So many are handed over at a time: the others are driven on meanwhile."""
SUMMED: Final = ("orders_unresolved", "sagas_open", "sagas_waiting_for_person")
"""What a node shows as one figure for all of its agents."""
PAUSE_SECONDS_FIRST: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0


@dataclass(slots=True, eq=False)
class Hosted:
    """One agent as it is driven here; `control` as soon as it is put together."""

    account: Account
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    control: AgentControl | None = None
    metrics: AgentMetrics | None = None

    @property
    def is_recovered(self) -> bool:
        """Whether it leads and what was open has been settled."""
        return self.control is not None and self.control.recovered.is_set()

    @property
    def is_ready(self) -> bool:
        """Whether its cycles have begun."""
        return self.control is not None and self.control.ready.is_set()


Drive = Callable[[Hosted], Awaitable[None]]
"""Drives one agent until its `stop` is set; raises what its orchestrator raises."""


class Hosting:
    """Keeps on this node the agents that fall to it."""

    def __init__(
        self,
        *,
        driven: Callable[[], Sequence[Account]],
        fleet: Fleet,
        drive: Drive,
        ahead: LeasesAhead,
        monotonic: Callable[[], float],
    ) -> None:
        self._driven = driven
        self._fleet = fleet
        self._drive = drive
        self._ahead = ahead
        self._monotonic = monotonic
        self._hosted: dict[AgentId, Hosted] = {}
        self._failures: dict[AgentId, tuple[int, float]] = {}
        self._seen: tuple[object, object] | None = None
        self._driven_ids: frozenset[AgentId] = frozenset()
        self._fallen: Mapping[AgentId, Account] = {}
        self._is_settled = False
        self._led: frozenset[AgentId] = frozenset()

    def find(self, agent_id: AgentId) -> Hosted | None:
        """The agent, if it is driven here."""
        return self._hosted.get(agent_id)

    def all(self) -> Sequence[Hosted]:
        """All that are driven here."""
        return list(self._hosted.values())

    def vitals(self, own: Mapping[str, Callable[[], float]]) -> Mapping[str, Callable[[], float]]:
        """What this node shows: `own` of the default agent, with the sums of those beside it."""

        def whole(name: str) -> Callable[[], float]:
            def read() -> float:
                controls = [one.control for one in self._hosted.values() if one.control is not None]
                return own[name]() + sum(control.vitals()[name]() for control in controls)

            return read

        def metrics() -> list[AgentMetrics]:
            return [one.metrics for one in self._hosted.values() if one.metrics is not None]

        return {
            **own,
            **{name: whole(name) for name in SUMMED},
            "agents_driven": lambda: len(self._hosted),
            "agents_ready": lambda: sum(one.is_ready for one in self._hosted.values()),
            "agents_worst_rung": lambda: max((one.rung for one in metrics()), default=0),
            "agents_invariants_broken": lambda: sum(one.broken for one in metrics()),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Begin and hand over until `stop` is set; all have been handed over when it returns."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await self.adjust(group)
                await _until(stop, LOOK_SECONDS)
            for hosted in self._hosted.values():
                hosted.stop.set()
            self._fallen = {}
            await self._held()

    async def adjust(self, group: asyncio.TaskGroup) -> None:
        """Begin what falls to this node and hand over what falls to another, some at a time."""
        if not self._look() and self._is_settled:
            return
        held = await self._held()
        for agent_id in held[: self._room()]:
            hosted = self._hosted[agent_id] = Hosted(self._fallen[agent_id])
            group.create_task(self._driven_here(hosted), name=f"agent {hosted.account.name}")
        leaving = HANDED_OVER_MAX - sum(hosted.stop.is_set() for hosted in self._hosted.values())
        for agent_id, hosted in self._hosted.items():
            if leaving <= 0:
                break
            if agent_id not in self._fallen and not hosted.stop.is_set() and self._may_go(hosted):
                hosted.stop.set()
                leaving -= 1
        self._is_settled = self._hosted.keys() == self._fallen.keys()

    def _room(self) -> int:
        """How many more may begin now."""
        unrecovered = sum(not hosted.is_recovered for hosted in self._hosted.values())
        unready = sum(not hosted.is_ready for hosted in self._hosted.values())
        return max(0, min(BEGINNING_MAX - unrecovered, UNREADY_MAX - unready))

    async def _held(self) -> Sequence[AgentId]:
        """Those that fall to this node and may begin: nobody else leads them, their lease is ours.

        All leases are taken before the first agent begins: who waits to begin is led already. They
        begin in the order in which their leases were taken: one that was lost before one that
        another node hands over, and drives until then.
        """
        fallen = self._fallen.keys() - self._hosted.keys() - self._led
        wanted = {agent_id for agent_id in fallen if self._is_due(agent_id)}
        try:
            held = await self._ahead.hold_ahead(wanted, keeping=self._fallen)
        except Unavailable as error:
            log.warning("no leases of agents", error=str(error))
            return ()
        return [agent_id for agent_id in held if agent_id in wanted]

    def _look(self) -> bool:
        """Who falls to whom, asked again only when nodes or agents have changed; whether it was."""
        own, nodes = self._fleet.own_id, self._fleet.nodes
        driven = self._driven()
        if self._seen is not None and self._seen[0] is nodes and self._seen[1] is driven:
            return False
        self._seen = (nodes, driven)
        self._driven_ids = frozenset(account.id for account in driven)
        ready = [node for node in nodes if node.url or node.id == own]
        names = () if self._fleet.hindrance() else able(ready)
        self._fallen = {a.id: a for a in driven if node_for(a.id, names) == own}
        self._led = frozenset(key for node in nodes if node.id != own for key in node.leads)
        return True

    def _may_go(self, hosted: Hosted) -> bool:
        """One that was retired goes when nothing of it is open; others have somewhere to go.

        One that is being recovered is recovered first: else the next node would begin anew, and
        take it for one whose process has died.
        """
        if hosted.account.id in self._driven_ids:
            return hosted.is_ready and not self._fleet.hindrance()
        return hosted.control is None or hosted.control.is_idle()

    def _is_due(self, agent_id: AgentId) -> bool:
        _, at = self._failures.get(agent_id, (0, 0.0))
        return self._monotonic() >= at

    async def _driven_here(self, hosted: Hosted) -> None:
        agent_id, name = hosted.account.id, hosted.account.name
        try:
            await self._drive(hosted)
        except* (Fenced, Unavailable) as ends:
            log.warning("agent lost", agent=name, reasons=[repr(one) for one in ends.exceptions])
            self._failed(agent_id)
        except* Exception:  # one agent's defect is no reason to end the others; it is told
            log.exception("agent failed", agent=name)
            self._failed(agent_id)
        else:
            self._failures.pop(agent_id, None)
        finally:
            del self._hosted[agent_id]
            self._is_settled = False

    def _failed(self, agent_id: AgentId) -> None:
        number, _ = self._failures.get(agent_id, (0, 0.0))
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_FIRST * 2 ** min(number, 10))
        self._failures[agent_id] = number + 1, self._monotonic() + pause


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
