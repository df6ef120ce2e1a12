"""A simulated world with its nodes: processes that live, die and start again on what is durable.

One or two nodes supervise one process each; the lease says which one acts. An operator starts,
stops, pauses and resumes the agent; storms take services away, freeze and kill processes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sim.setting import CALENDAR, SETTINGS, START, STRATEGIES, SYMBOLS, policy_of
from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.domain.errors import Fenced, TradesagaError, Transient
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Order
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Resolution, TradeState
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.saga_control import SagaControl
from tradesaga.engine.world import World
from tradesaga.testing.sim_bus import SimBus, SimStream
from tradesaga.testing.sim_journal import SimJournal, SimLease, SimOutbox, SimRecords, SimStore
from tradesaga.testing.sim_life import Life
from tradesaga.testing.sim_loop import SimLoop
from tradesaga.testing.sim_neighbours import (
    MarketDataLine,
    SimClock,
    SimDecisions,
    SimIds,
    SimPrices,
)
from tradesaga.testing.sim_venue import Sent, SimVenue, VenueLine
from tradesaga.testing.sim_weather import BUS, DATABASE, VENUE, Weather, drawn


class NoMetrics:
    """Figures for nobody; implements `ports.metrics.Metrics`."""

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        """Nothing."""

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        """Nothing."""

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        """Nothing."""

    def decision_made(self, action: str, verdict: str) -> None:
        """Nothing."""

    def order_ended(self, status: str) -> None:
        """Nothing."""

    def rate_limited(self, service: str, outcome: str) -> None:
        """Nothing."""

    def error_occurred(self, error_type: str) -> None:
        """Nothing."""

    def agent_up(self, uptime: timedelta) -> None:
        """Nothing."""

    def strategies_active(self, number: int) -> None:
        """Nothing."""

    def ladder_rung(self, severity: int) -> None:
        """Not counted."""

    def kill_unresolved(self, number: int) -> None:
        """Not counted."""

    def invariants_broken(self, number: int) -> None:
        """Nothing."""

    def rows_archived(self, table: str, number: int) -> None:
        """Nothing."""

    def reconciled(self, at: datetime, drifting: int) -> None:
        """Nothing."""


@dataclass(slots=True)
class Window:
    """A time in which something must not happen, on the loop's scale; open while `end` is None."""

    begin: float
    end: float | None = None

    def holds(self, moment: float) -> bool:
        """Whether the moment lies strictly within."""
        return self.begin < moment and (self.end is None or moment < self.end)


@dataclass(slots=True)
class Kept:
    """What the operator was promised, and what went against the bus's rules."""

    stopped: list[Window] = field(default_factory=list)
    paused: list[Window] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    interventions: int = 0

    def commanded(self, now: float) -> None:
        """A new command is on its way: nothing is promised until its answer."""
        for window in (*self.stopped[-1:], *self.paused[-1:]):
            window.end = now if window.end is None else min(window.end, now)


class Town:
    """Everything that outlives a process."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        rng = loop.rng
        self.weather: Weather = drawn(rng)
        self.policy = policy_of(dedupes=rng.random() < 0.5)
        self.clock = SimClock(loop, START)
        self.ids = SimIds(loop)
        self.store = SimStore()
        self.stream = SimStream(loop, self.weather)
        self.prices = SimPrices(self.clock, self.weather, SYMBOLS)
        self.venue = SimVenue(
            loop,
            self.weather,
            self.stream,
            now=self.clock.now,
            price=self.prices.price,
            dedupes=self.policy.dedupes,
            looks_up=rng.random() < 0.6,
            tells_fills=rng.random() < 0.7,
        )
        self.decisions = SimDecisions(loop, self.weather, self.stream, self.clock)
        self.stream.on_published = self.decisions.hear
        self.venue.on_sent = self._check_sender
        self.venue.is_claimed = lambda venue_id: venue_id in self.store.by_venue_id
        self.kept = Kept()
        self.lives, self.strategies, self.settings = 0, STRATEGIES, SETTINGS
        self.nodes = [Node(self, f"node{n}") for n in range(1, rng.choice((1, 1, 2)) + 1)]

    def world(self, life: Life) -> World:
        """The ports of one process."""
        return World(
            journal=SimJournal(self.store, life),
            records=SimRecords(self.store, life),
            outbox=SimOutbox(self.store, life),
            archive=MemoryArchive(),
            lease=SimLease(self.store, life),
            bus=SimBus(self.stream, life),
            clock=self.clock,
            ids=self.ids,
            metrics=NoMetrics(),
            venue=VenueLine(self.venue, life),
            market_data=MarketDataLine(self.prices, life),
            decisions=self.decisions,
            calendar=CALENDAR,
        )

    def _check_sender(self, sent: Sent) -> None:
        """Only the holder of the lease sends, and only while it holds it."""
        if sent.by != self.store.holder or self.loop.time() > self.store.expires_at:
            self.kept.faults.append(
                f"{sent.by} sent {sent.order.client_order_id} without the lease"
            )

    def leader(self) -> Node | None:
        """The node whose process acts now, if any."""
        for node in self.nodes:
            ready = node.control is not None and node.control.ready.is_set()
            if ready and node.life is not None and node.life.name == self.store.holder:
                return node
        return None


class Node:
    """Starts a process, and the next one when it has ended, until `stop` is set."""

    def __init__(self, town: Town, name: str) -> None:
        self.town = town
        self.name = name
        self.stop = asyncio.Event()
        self.life: Life | None = None
        self.control: AgentControl | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}

    async def run(self) -> None:
        """Supervise."""
        while not self.stop.is_set():
            self.town.lives += 1
            life = self.life = Life(
                self.town.loop, self.town.weather, f"{self.name}.{self.town.lives}"
            )
            life.on_death = self._cancel_all
            orchestrator = Orchestrator(
                world=self.town.world(life),
                settings=self.town.settings,
                policy=self.town.policy,
                strategies=self.town.strategies,
                on_control=self._take_control,
            )
            with self.task(orchestrator.run(self.stop)) as task:
                await asyncio.wait([task])
            self._judge(task, life)
            self.control = None
            life.kill("at its end")
            await self.town.clock.sleep(self.town.loop.rng.uniform(0.05, 2.0))

    @contextmanager
    def task(self, work: Coroutine[Any, Any, Any]) -> Iterator[asyncio.Task[Any]]:
        """A task of the process that lives now; it is cancelled when that dies."""
        task = self.town.loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(_looked_at)
        try:
            yield task
        finally:
            self._tasks.pop(task)

    def _take_control(self, control: AgentControl) -> None:
        self.control = control

    def _cancel_all(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    def _judge(self, task: asyncio.Task[Any], life: Life) -> None:
        """A process may end by command, by death, or by an error that names the world."""
        error = None if task.cancelled() else task.exception()
        if error is None or life.over:
            return
        self.town.loop.note(f"{life.name} ends: {', '.join(map(repr, leaves(error)))}")
        odd = [e for e in leaves(error) if not isinstance(e, Transient | Fenced)]
        if odd:
            self.town.kept.faults.append(f"{life.name} failed: {odd[0]!r}")


MINUTE = 60.0


class Operator:
    """Commands the agent now and then, and writes down what was promised."""

    def __init__(self, town: Town) -> None:
        self.town = town

    async def run(self) -> None:
        """Start the agent, then command at drawn times."""
        rng = self.town.loop.rng
        await self.command("start")
        while True:
            await self.town.clock.sleep(rng.uniform(10, 300))
            if rng.random() < 0.7:  # when orders are under way: shortly after an analysis began
                left = MINUTE - self.town.loop.time() % MINUTE
                await self.town.clock.sleep(left + rng.uniform(0, 4))
            name = rng.choice(("stop", "pause"))
            await self.command(name)
            await self.town.clock.sleep(rng.uniform(1, 90))
            await self.command({"stop": "start", "pause": "resume"}[name])
            await self.settle_parked(0.5)

    async def settle_parked(self, chance: float) -> None:
        """Say something about sagas that wait for a person; what is said of an order is true."""
        for saga_id in list(self.town.store.trades):
            trade, node = self.town.store.trade(saga_id), self.town.leader()
            if trade is None or trade.saga.status is not SagaStatus.MANUAL_REQUIRED:
                continue
            if node is None or node.control is None or self.town.loop.rng.random() >= chance:
                continue
            await self._intervene(node, node.control.sagas, trade)

    async def _intervene(self, node: Node, sagas: SagaControl, trade: TradeState) -> None:
        saga_id, town = trade.saga.id, self.town
        told = {"reason": "simulated", "actor": "operator"}
        placed = town.venue.by_client_id.get(trade.order.client_order_id, [])
        ways = [sagas.retry(saga_id, **told), sagas.compensate(saga_id, **told)]
        if not placed:
            ways.append(sagas.resolve(saga_id, Resolution.NOT_PLACED, **told))
        elif len(placed) == 1:
            told["venue_order_id"] = placed[0].id
            ways.append(sagas.resolve(saga_id, Resolution.ADOPT, **told))
        chosen = town.loop.rng.choice(ways)
        for way in ways:
            if way is not chosen:
                way.close()
        with node.task(chosen) as task:
            await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        town.loop.note(f"an operator settles {saga_id}: {error!r}")
        town.kept.interventions += 1
        if error is not None and not isinstance(error, TradesagaError):
            town.kept.faults.append(f"settling {saga_id} failed: {error!r}")

    async def command(self, name: str) -> None:
        """Ask until it is done; what a dead process leaves open is asked again."""
        while not await self._asked(name):
            await self.town.clock.sleep(1.0)

    async def _asked(self, name: str) -> bool:
        town, kept = self.town, self.town.kept
        node = town.leader()
        if node is None or node.control is None:
            return False
        kept.commanded(town.loop.time())
        duration = timedelta(seconds=town.loop.rng.uniform(5, 300))
        timed = name == "pause" and town.loop.rng.random() < 0.5
        with node.task(_order(node.control, name, duration if timed else None)) as task:
            await asyncio.wait([task])
        now = town.loop.time()
        if task.cancelled():
            return False
        if (error := task.exception()) is not None:
            town.loop.note(f"{name} fails: {error!r}")
            if not isinstance(error, TradesagaError):
                kept.faults.append(f"{name} failed: {error!r}")
            return not isinstance(error, Transient | Fenced)
        town.loop.note(f"{name} is done")
        if name == "stop":
            kept.stopped.append(Window(now))
        elif name == "pause":
            end = now + duration.total_seconds() - SECONDS_OF_COMMAND_MAX if timed else None
            kept.paused.append(Window(now, end))
        return True


SECONDS_OF_COMMAND_MAX = 30.0
"""A timed pause is counted from when it was asked for, not from when that was answered."""


async def _order(control: AgentControl, name: str, duration: timedelta | None) -> None:
    if name == "start":
        await control.start(strategies=None, mode=None, actor="operator")
    elif name == "stop":
        await control.stop(reason="simulated", cancel_open_orders=True, actor="operator")
    elif name == "pause":
        await control.pause(duration=duration, reason="simulated", actor="operator")
    else:
        await control.resume(reason="simulated", actor="operator")


async def storms(town: Town) -> None:
    """Take a service away, freeze or kill a process, or let a decision come unasked."""
    rng = town.loop.rng
    calm = rng.choice((60.0, 300.0, 1200.0))
    while True:
        await town.clock.sleep(rng.expovariate(1 / calm))
        what = rng.choice((DATABASE, BUS, VENUE, "freeze", "kill", "speak"))
        node = rng.choice(town.nodes)
        if what in (DATABASE, BUS, VENUE):
            town.loop.note(f"{what} is away")
            town.weather.fall(what)
            await town.clock.sleep(rng.choice((rng.uniform(0, 3), rng.uniform(3, 60))))
            town.weather.rise(what)
            town.loop.note(f"{what} is back")
        elif what == "freeze" and node.life is not None:
            node.life.freeze(rng.uniform(0.1, 20))
        elif what == "kill" and node.life is not None:
            node.life.kill("in a storm")
        elif what == "speak":
            town.decisions.speak(rng.choice(SYMBOLS), rng.choice(("s1", "s2", None)))


async def somebody_else(town: Town) -> None:
    """Order on the account now and then, by hand; half of it fills.

    Only where the venue keeps client order ids: without them nobody can tell such orders apart.
    """
    rng = town.loop.rng
    if not town.venue.looks_up:
        await asyncio.Event().wait()
    for number in itertools.count(1):
        await town.clock.sleep(rng.expovariate(1 / 60))
        known = [o for o in town.store.of(Order, DEFAULT_AGENT) if o.opening]
        if not known:
            continue
        order = replace(rng.choice(known), client_order_id=f"by-hand-{number}", venue_order_id=None)
        venue_order_id = town.venue.foreign(order)
        if rng.random() < 0.5:
            await town.clock.sleep(rng.uniform(0, 20))
            town.venue.fill_foreign(venue_order_id)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """An operator who has gone home hears no error."""
    if not task.cancelled():
        task.exception()


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]
