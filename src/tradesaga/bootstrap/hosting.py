"""The agents beside the default one in this process: what they share, and what each has of its own.

    shared    journal, readers, one lease connection, one bus connection, HTTP connections,
              prices and decision makers and how they are, the register of nodes
    its own   lease and epoch, gate, venue, desk, books, schedules, ladder, limits

Without such an agent nothing of this exists but the look whether there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from tradesaga.adapters.http.connections import SharedConnections
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.postgres.access_records import PostgresAccessRecords
from tradesaga.adapters.postgres.accounts import PostgresAccountRecords
from tradesaga.adapters.postgres.event_feed import PostgresEventFeed
from tradesaga.adapters.postgres.history import PostgresHistory
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.lease_round import LeaseRound
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.shared_answers import (
    SharedClock,
    SharedDecisionService,
    SharedMarketData,
    SharedParking,
    SharedStream,
)
from tradesaga.adapters.system import SystemClock, SystemIds
from tradesaga.api.doors import Doors
from tradesaga.bootstrap import translation
from tradesaga.bootstrap.neighbour_clients import parking_over, venue_of
from tradesaga.bootstrap.signing import signature_check
from tradesaga.config import ClientOrderIds, Settings
from tradesaga.domain.account import Account
from tradesaga.domain.errors import NotFound, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.spreading import phase
from tradesaga.engine.account_book import AccountBook
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.agent_metrics import AgentMetrics
from tradesaga.engine.exchange import AgentBus, Exchange
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.halting import Halting
from tradesaga.engine.hosting import Hosted, Hosting
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.repeat_book import RepeatBook
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World
from tradesaga.ports.ladder_operations import LadderOperations
from tradesaga.ports.services import EngineParking

RELAY_LOOKS_EVERY: Final = timedelta(seconds=10)
"""An agent's own events wake its relay; a thousand that look twice a second would cost a core."""
RECONCILE_AT_REST_EVERY: Final = timedelta(minutes=1)
STALL_TIME_MAX: Final = timedelta(seconds=2)
"""A process that stood still for a moment has renewed all leases a moment later: hundreds of agents
need not enter the ladder for it. What is sent asks the lease itself each time."""
BUS_IDLE_MAX: Final = timedelta(minutes=1)
"""The consumers of a node that has gone are forgotten by the server then."""


class _NotHere:
    """A port of an agent that is driven elsewhere: whoever asks it anything gets Unavailable."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> object:
        raise Unavailable(self._why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the agents of this process share beside the default agent's world."""

    settings: Settings
    dsn: str
    world: World
    engine: EngineSettings
    metrics: PrometheusMetrics
    pool: ReaderPool
    lease: LeaseRound
    bus: NatsBus
    exchange: Exchange
    connections: SharedConnections


class Others:
    """The agents beside the default one; implements `api.doors.AgentDoors`."""

    def __init__(
        self, shared: Shared, book: AccountBook, fleet: Fleet, control: AgentControl
    ) -> None:
        self._shared = shared
        self._stream = SharedStream(shared.bus)
        self._default = control
        self.default_ladder: LadderOperations = control.kill
        """What is asked for the default agent: a tape notes what passes there."""
        self._doors: dict[AgentId, tuple[AgentControl, Doors]] = {}
        self.book = book
        self.hosting = Hosting(
            driven=book.driven,
            fleet=fleet,
            drive=self._drive,
            ahead=shared.lease,
            monotonic=shared.world.clock.monotonic,
        )
        self.halting = Halting(
            driven=self._switches,
            known=lambda: [book.default, *book.driven()],
            fleet=fleet,
            monotonic=shared.world.clock.monotonic,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Drive what falls to this node until `stop` is set, once there is an agent at all."""
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self.book.run(), name="agents")
            stopping = group.create_task(stop.wait(), name="stop")
            sharing = group.create_task(self._share(), name="shared by agents")
            await self.hosting.run(stop)
            for task in (looking, stopping, sharing):
                task.cancel()

    async def _share(self) -> None:
        await self.book.some.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._shared.lease.run(), name="leases")
            group.create_task(self._shared.exchange.run(), name="exchange")

    def of(self, agent_id: AgentId) -> Doors | None:
        """See `api.doors.AgentDoors`."""
        shared = self._shared
        if agent_id == shared.engine.agent_id:
            return None
        if (account := self.book.find(agent_id)) is None:
            raise NotFound(f"there is no agent {agent_id}; `tradesaga agents ls` lists them")
        hosted = self.hosting.find(agent_id)
        if hosted is None or hosted.control is None:
            why = (
                "was retired" if not account.lives else "is not driven by this node, nor any other"
            )
            return self._closed(agent_id, f"agent {account.name} {why}: ask again")
        control, doors = self._doors.get(agent_id, (None, None))
        if doors is None or control is not hosted.control:
            doors = self._doors_of(agent_id, hosted.control)
            self._doors[agent_id] = hosted.control, doors
        return doors

    def _closed(self, agent_id: AgentId, why: str) -> Doors:
        """Doors of an agent that this node does not drive: what it wrote is read all the same."""
        nobody: Any = _NotHere(why)
        doors = {field.name: nobody for field in fields(Doors)}
        doors["feed"] = PostgresEventFeed(self._shared.pool, agent_id)
        doors["history"] = PostgresHistory(self._shared.pool, agent_id)
        return Doors(**doors)

    def _switches(self) -> Mapping[AgentId, LadderOperations]:
        """Those of all agents that act here; the default one's also while nobody leads it."""
        shared, found = self._shared, dict[AgentId, LadderOperations]()
        agent_id, fleet = shared.engine.agent_id, shared.world.fleet
        if self._default.leads() or fleet is None or not fleet.elsewhere(agent_id):
            found[agent_id] = self.default_ladder
        for hosted in self.hosting.all():
            if hosted.control is not None:
                found[hosted.account.id] = hosted.control.kill
        return found

    async def _drive(self, hosted: Hosted) -> None:
        account, shared = hosted.account, self._shared
        async with AsyncExitStack() as stack:
            hosted.metrics = AgentMetrics(shared.metrics)
            world = replace(self._world(account, stack), metrics=hosted.metrics)

            def made(control: AgentControl) -> None:
                hosted.control = control
                self.halting.begun(control.kill)

            orchestrator = Orchestrator(
                world=world,
                settings=replace(
                    shared.engine,
                    agent_id=account.id,
                    agent_name=account.name,
                    phase=phase(account.id),
                    tolerances=replace(shared.engine.tolerances, lease_stall_max=STALL_TIME_MAX),
                ),
                policy=translation.saga_policy(shared.settings, world.venue.capabilities),
                strategies=(),
                on_control=made,
            )
            stack.callback(self._doors.pop, account.id, None)
            stack.callback(shared.exchange.leave, account.id)
            await orchestrator.run(hosted.stop)

    def _world(self, account: Account, stack: AsyncExitStack) -> World:
        shared, common = self._shared, self._shared.world
        gate = SendGate(above=common.gate)

        async def is_ours(venue_order_id: str) -> bool:
            known = await common.records.trade_of(
                account.id, venue_order_id=venue_order_id, client_order_id=None
            )
            return known is not None

        venue = venue_of(
            shared.settings,
            common.clock,
            shared.metrics,
            claimed=is_ours,
            refusal=gate.refusal_at_last,
            url=account.trading_engine,
            shared=shared.connections,
            tracer=common.tracer,
        )
        stack.push_async_callback(venue.close)
        lease = PostgresLease(
            shared.dsn,
            common.clock,
            time_to_live=shared.settings.lease.ttl,
            send_time_max=shared.settings.sagas.trade_execution.send_timeout,
            schema=shared.settings.database.schema,
            shared=shared.lease,
        )
        return replace(
            common,
            lease=lease,
            bus=AgentBus(shared.exchange, shared.bus, account.id),
            venue=venue,
            order_history=venue,
            gate=gate,
            read_message=shared.bus.read,
            stream=self._stream,
            marks=None,
            venue_memory=None,
            exchange=shared.exchange,
        )

    def _doors_of(self, agent_id: AgentId, control: AgentControl) -> Doors:
        pool, clock = self._shared.pool, self._shared.world.clock
        return doors_of(
            control,
            PostgresEventFeed(pool, agent_id),
            PostgresHistory(pool, agent_id),
            RepeatBook(
                scribe=control.scribe,
                records=PostgresAccessRecords(pool),
                clock=clock,
                agent_id=agent_id,
            ),
        )


def doors_of(
    control: AgentControl, feed: PostgresEventFeed, history: PostgresHistory, repeats: RepeatBook
) -> Doors:
    """The driving ports of one agent."""
    return Doors(
        operations=control,
        sagas=control.sagas,
        retention=control.retention,
        risk=control.risk,
        approvals=control.approvals,
        feed=feed,
        history=history,
        dead_letters=control.dead_letters,
        strategies=control.strategy_control,
        schedules=control.schedules,
        ladder=control.kill,
        repeats=repeats,
    )


def others_of(
    settings: Settings,
    dsn: str,
    world: World,
    engine: EngineSettings,
    control: AgentControl,
    metrics: PrometheusMetrics,
    pool: ReaderPool,
    stack: AsyncExitStack,
) -> Others:
    """Put together; nothing is begun. `stack` closes what must be closed."""
    fleet = world.fleet
    assert fleet is not None, "a process that drives agents is on the register"
    lease = LeaseRound(
        dsn,
        world.clock,
        time_to_live=settings.lease.ttl,
        send_time_max=settings.sagas.trade_execution.send_timeout,
        every=settings.lease.renew,
        schema=settings.database.schema,
    )
    connections = SharedConnections()
    for closes in (lease.close, connections.close):
        stack.push_async_callback(closes)
    bus = NatsBus(
        url=settings.event_bus.url,
        user=settings.event_bus.user,
        token=settings.event_bus.token.reveal(),
        signatures=signature_check(settings),
        tracer=world.tracer,
        clock=world.clock,
        publish_prefix=settings.event_bus.publish_prefix,
        subscriptions=settings.event_bus.subscriptions,
        durable_prefix=f"tradesaga-{blake2b(fleet.own_id.encode(), digest_size=8).hexdigest()}",
        idle_max=BUS_IDLE_MAX,
    )
    shared = Shared(
        settings=settings,
        dsn=dsn,
        world=_shared_answers(world, parking_over(bus, settings)),
        engine=replace(
            engine,
            lease_renew_every=settings.lease.renew / 10,  # each waits for the next round then
            relay_looks_every=RELAY_LOOKS_EVERY,
            reconcile_at_rest_every=RECONCILE_AT_REST_EVERY,
        ),
        metrics=metrics,
        pool=pool,
        lease=lease,
        bus=bus,
        exchange=Exchange(bus),
        connections=connections,
    )
    clock = SystemClock()
    book = AccountBook(
        scribe=control.scribe,
        records=PostgresAccountRecords(pool),
        clock=clock,
        ids=SystemIds(),
        default=Account(
            id=engine.agent_id,
            agent_id=engine.agent_id,
            name=engine.agent_name,
            trading_engine=settings.services.trading_engine.url,
            created_at=clock.now(),
            created_by="configuration",
        ),
        refusal=partial(_refusal, settings),
    )
    return Others(shared, book, fleet, control)


def _shared_answers(world: World, parking: EngineParking | None) -> World:
    """The world of the agents: what all of them would ask the same services is asked once."""
    monotonic, database, venue = world.clock.monotonic, world.database_clock, world.venue_clock
    return replace(
        world,
        decisions=SharedDecisionService(world.decisions, monotonic),
        market_data=SharedMarketData(world.market_data, monotonic),
        database_clock=None if database is None else SharedClock(database, monotonic),
        venue_clock=None if venue is None else SharedClock(venue, monotonic),
        parking=None if parking is None else SharedParking(parking, monotonic),
    )


def _refusal(settings: Settings) -> str:
    if settings.services.trading_engine.client_order_id is ClientOrderIds.HONOURED:
        return ""
    return (
        "several agents need trading engines that keep our order ids, else nobody can tell whose "
        "an order event is: set services.tradingEngine.clientOrderId to honoured if yours do"
    )
