"""`tradesaga serve`: one orchestrator process, put together and run.

    API ─┐                      ┌─ journal writer
         ├─ control ── engine ──┼─ bus
    CLI ─┘                      └─ HTTP clients of the neighbours

Everything lives in one task group: when a part fails for good the process ends, and whoever
supervises it starts it again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from structlog import get_logger

from tradesaga import __version__
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.halt_files import HaltFiles
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.clock import PostgresClock
from tradesaga.adapters.postgres.database_marks import PostgresDatabaseMarks
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.preflight import ServerReport, check_postgres
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.postgres.sent_events import PostgresSentEvents
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import (
    ScaledClock,
    SystemClock,
    SystemIds,
    calm_collector,
    host_now,
)
from tradesaga.api.app import create_app
from tradesaga.api.loopback import is_loopback
from tradesaga.api.server import serve as serve_http
from tradesaga.bootstrap import translation
from tradesaga.bootstrap.databases import check_bus
from tradesaga.bootstrap.event_documents import events_document
from tradesaga.bootstrap.front import Front, front_of
from tradesaga.bootstrap.hosting import Others
from tradesaga.bootstrap.identity import identity_of
from tradesaga.bootstrap.loop_lag import watch_loop
from tradesaga.bootstrap.neighbour_clients import Clients
from tradesaga.bootstrap.nodes import Fellowship
from tradesaga.bootstrap.recording import begun_tape
from tradesaga.bootstrap.schema import fit_schema
from tradesaga.bootstrap.signing import signature_check
from tradesaga.bootstrap.tracing import tracer_of
from tradesaga.config import Loaded, Settings, shared_digest
from tradesaga.domain.errors import Invalid, TradesagaError, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World
from tradesaga.paper.strategies import default_strategies, load_strategies
from tradesaga.ports.clock import Clock
from tradesaga.ports.tracing import Tracer
from tradesaga.replay.capture import captured, lived
from tradesaga.replay.commands import captured_ports

log = get_logger()
DATABASE_WAIT_SECONDS_MAX = 30.0
JOURNAL_CLOSE_TIME_MAX = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line adds to the configuration.

    `market_clock` is the file of a replay's player; without it time is real. `strategies` is a
    file of definitions, else one of each rule over `default_strategies_for`. `record` is the
    directory in which everything is noted. `state_dir` is where the kill switch leaves its marks
    and looks for them; without it there are none.
    """

    market_clock: Path | None = None
    strategies: Path | None = None
    default_strategies_for: tuple[str, ...] = ()
    allow_remote: bool = False
    record: Path | None = None
    state_dir: Path | None = None


async def serve(loaded: Loaded, options: ServeOptions, stop: asyncio.Event) -> None:
    """Run the orchestrator and its API until `stop` is set.

    Raises:
        Invalid: configuration, database or strategies cannot be used; every problem named.
        Unavailable: the database stayed away, or the API's port is taken.
        ExceptionGroup: a part failed while running.
    """
    settings = loaded.settings
    log_output.configure(level=settings.logging.level.value, form=settings.logging.format.value)
    gate = SendGate()
    marks = _halt_marks(options, gate)
    dsn, schema = translation.dsn_of(settings), settings.database.schema
    await _database_ready(dsn, schema)
    await _bus_looked_at(settings)
    clock = SystemClock() if options.market_clock is None else ScaledClock(options.market_clock)
    metrics = PrometheusMetrics(version=__version__, now=SystemClock().now)
    async with AsyncExitStack() as stack:
        tracer = tracer_of(settings, metrics, stack)
        written = metrics.batch_written
        journal = PostgresJournal(dsn, schema=schema, on_written=written, tracer=tracer)
        bus = _bus(settings, clock, tracer)
        world = await _world(settings, dsn, stack, clock, metrics, journal, bus, gate, tracer)
        identity = identity_of(shared_digest(settings))
        fellows = Fellowship.of(settings, dsn, identity, stack)
        beside: list[Others] = []
        others = partial(_any_driven, beside)
        world = replace(world, marks=marks, fleet=fellows.fleet, others=others)
        strategies = _strategies(settings, options, clock.now())
        notes = await begun_tape(world, settings, options.record, strategies, identity, stack)
        orchestrator = _Deferred(
            world=world if notes is None else captured(world, notes),
            settings=replace(translation.engine_settings(settings), identity=identity),
            policy=translation.saga_policy(settings, world.venue.capabilities),
            strategies=strategies,
        )
        calm_collector()
        async with asyncio.TaskGroup() as group:
            looping = group.create_task(watch_loop(metrics.loop_came), name="loop lag")
            announcing = group.create_task(fellows.fleet.run(), name="nodes")
            writing = group.create_task(journal.run(), name="journal")
            running = group.create_task(
                orchestrator.run(stop) if notes is None else lived(notes, orchestrator.run, stop),
                name="orchestrator",
            )
            control = await orchestrator.control
            metrics.read_at_scrape(
                uptime=control.uptime,
                strategies_active=control.strategies_active,
                reconciliation_lag=lambda: control.books.lag,
            )
            engine = orchestrator.settings
            front = await front_of(
                settings, options.state_dir, dsn, world, engine, control, metrics, stack
            )
            beside.append(front.others)
            looking = group.create_task(front.run(), name="tokens")
            hosting = group.create_task(front.others.run(stop), name="other agents")
            ports = captured_ports(control, notes)
            front.others.default_ladder = ports["ladder"]
            serving = _api(
                settings, options, control, ports, front, metrics, stop, fellows, stack, tracer
            )
            group.create_task(serving, name="api")
            await asyncio.wait([running, hosting])
            announcing.cancel()
            looping.cancel()
            looking.cancel()
            await journal.close(JOURNAL_CLOSE_TIME_MAX)
            await asyncio.wait([writing])


def _any_driven(others: Sequence[Others]) -> bool:
    return any(one.book.driven() for one in others)


class _Deferred:
    """The orchestrator, and its control as soon as that exists."""

    def __init__(
        self,
        *,
        world: World,
        settings: EngineSettings,
        policy: Policy,
        strategies: Sequence[Strategy],
    ) -> None:
        self.settings = settings
        self.control: asyncio.Future[AgentControl] = asyncio.get_running_loop().create_future()
        self._orchestrator = Orchestrator(
            world=world,
            settings=settings,
            policy=policy,
            strategies=strategies,
            on_control=self.control.set_result,
        )

    async def run(self, stop: asyncio.Event) -> None:
        await self._orchestrator.run(stop)


def _halt_marks(options: ServeOptions, gate: SendGate) -> HaltFiles | None:
    """Marks of the kill switch are heeded before anything else is done; SIGUSR1 halts."""
    if options.state_dir is None:
        return None
    marks = HaltFiles(options.state_dir, gate.mark)
    signal.signal(signal.SIGUSR1, marks.signalled)
    return marks


def _bus(settings: Settings, clock: Clock, tracer: Tracer) -> NatsBus:
    return NatsBus(
        url=settings.event_bus.url,
        token=settings.event_bus.token.reveal(),
        user=settings.event_bus.user,
        clock=clock,
        publish_prefix=settings.event_bus.publish_prefix,
        subscriptions=settings.event_bus.subscriptions,
        signatures=signature_check(settings),
        tracer=tracer,
    )


async def _world(
    settings: Settings,
    dsn: str,
    stack: AsyncExitStack,
    clock: Clock,
    metrics: PrometheusMetrics,
    journal: PostgresJournal,
    bus: NatsBus,
    gate: SendGate,
    tracer: Tracer,
) -> World:
    """Every adapter; `stack` closes what must be closed."""
    schema = settings.database.schema
    pool = ReaderPool(dsn, schema=schema, damage=journal.damage)
    lease = PostgresLease(
        dsn,
        clock,
        time_to_live=settings.lease.ttl,
        send_time_max=settings.sagas.trade_execution.send_timeout,
        schema=schema,
    )
    records, agent_id = PostgresRecords(pool), AgentId(settings.agent.id)

    async def is_ours(venue_order_id: str) -> bool:
        known = await records.trade_of(
            agent_id, venue_order_id=venue_order_id, client_order_id=None
        )
        return known is not None

    clients = Clients(
        settings=settings,
        clock=clock,
        metrics=metrics,
        stack=stack,
        claimed=is_ours,
        refusal=gate.refusal_at_last,
        positions=lambda: records.positions(agent_id),
        tracer=tracer,
    ).all_over(bus)
    archive = PostgresArchive(dsn, schema=schema)
    database_clock = PostgresClock(dsn, host_now, schema=schema)
    for closes in (pool, archive, lease, database_clock):
        stack.push_async_callback(closes.close)
    return World(
        journal=journal,
        records=records,
        outbox=PostgresOutbox(pool),
        archive=archive,
        lease=lease,
        bus=clients.bus,
        clock=clock,
        ids=SystemIds(),
        metrics=metrics,
        venue=clients.venue,
        market_data=clients.market_data,
        decisions=clients.decisions,
        calendar=translation.calendar_around(settings, clock.now(), clock.now()),
        gate=gate,
        read_message=bus.read,
        stream=bus,
        sent=PostgresSentEvents(pool),
        database=PostgresDatabaseMarks(pool),
        damage=journal.damage,
        order_history=clients.venue,
        database_clock=database_clock,
        venue_clock=clients.clock,
        venue_memory=clients.memory,
        parking=clients.parking,
        tracer=tracer,
    )


async def _api(
    settings: Settings,
    options: ServeOptions,
    control: AgentControl,
    ports: Mapping[str, Any],
    front: Front,
    metrics: PrometheusMetrics,
    stop: asyncio.Event,
    fellows: Fellowship,
    stack: AsyncExitStack,
    tracer: Tracer,
) -> None:
    def ready(url: str) -> None:
        fellows.listens(url)
        log.info("API listens", url=url)

    peers = fellows.peers(control, front.others, stack)
    app = create_app(
        ports["operations"],
        ports["sagas"],
        ports["retention"],
        ports["risk"],
        ports["approvals"],
        front.tokens,
        front.repeats,
        front.feed,
        ports["strategies"],
        ports["schedules"],
        ports["ladder"],
        metrics.text,
        dead_letters=ports["dead_letters"],
        metrics_port=metrics,
        ids=SystemIds(),
        monotonic=SystemClock().monotonic,
        hosts=settings.server.allowed_hosts,
        addresses=not is_loopback(settings.server.host),
        asyncapi=events_document(settings),
        accounts=front.others.book,
        history=front.history,
        halting=front.others.halting,
        peers=peers,
        passing=fellows.passing(peers),
        agents=front.others,
        tracer=tracer,
    )
    await serve_http(
        app,
        settings.server.host,
        settings.server.port,
        ready=ready,
        stop=stop,
        allow_remote=options.allow_remote,
    )


async def _database_ready(dsn: str, schema: str) -> None:
    """Wait for the database, bounded; then check it and bring the schema up to date."""
    report = await _checked(dsn, schema)
    for problem in report.problems:
        log.warning("database", problem=problem)
    await fit_schema(dsn, schema)


async def _bus_looked_at(settings: Settings) -> None:
    """With a monitoring address: whether NATS keeps what it acknowledges. Raises Invalid.

    One that is away is no hindrance: nothing is lost that waits in the database.
    """
    if not settings.event_bus.monitor_url:
        return
    try:
        doubts = await check_bus(settings)
    except TradesagaError as error:
        if isinstance(error, Invalid):
            raise
        doubts = (str(error),)
    for doubt in doubts:
        log.warning("event bus", problem=doubt)


async def _checked(dsn: str, schema: str) -> ServerReport:
    try:
        async with asyncio.timeout(DATABASE_WAIT_SECONDS_MAX):
            while True:
                try:
                    return await check_postgres(dsn, schema=schema)
                except Unavailable as error:
                    log.info("waiting for the database", said=str(error))
                    await asyncio.sleep(0.1)  # noqa: TID251 -- before there is a clock
    except TimeoutError as error:
        raise Unavailable(
            f"the database did not answer for {DATABASE_WAIT_SECONDS_MAX:.0f} s; "
            "check orchestrator.database and that the server runs"
        ) from error


def _strategies(settings: Settings, options: ServeOptions, now: datetime) -> tuple[Strategy, ...]:
    if options.strategies is not None:
        plain = load_strategies(options.strategies)
    else:
        plain = default_strategies(options.default_strategies_for)
        if not options.default_strategies_for:
            plain = []
    engine = translation.engine_settings(settings)
    return translation.strategies_of(plain, agent_id=engine.agent_id, now=now)
