"""Does all that must hold hold? Asked of the database and the venue, whole, whatever it takes.

One implementation for `tradesaga verify` and for the summary of `tradesaga up --paper`. It only
reads, needs no running orchestrator, and may be used beside one. A recorded replay tells its own
time: its clock file gives `now` and how fast it passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tradesaga.adapters.postgres.accounts import PostgresAccountRecords
from tradesaga.adapters.postgres.migrate import status
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.adapters.postgres.tally import Tally
from tradesaga.adapters.system import SystemClock, real_ns
from tradesaga.bootstrap import databases, translation
from tradesaga.bootstrap.fresh import is_replay
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.bootstrap.venue_check import OurBooks, compare_until_settled, not_asked
from tradesaga.config import SelfTrading, Settings
from tradesaga.domain.agent import Mode
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.limit_change import order_rates
from tradesaga.domain.market_clock import datetime_of, unpack
from tradesaga.embedded.postgres import SUPERUSER
from tradesaga.embedded.state import Ports, default_state_dir, socket_directory
from tradesaga.paper.places import CLOCK_FILE
from tradesaga.ports.records import Circumstances, Invariant

QUERY_TIME_MAX: Final = timedelta(minutes=30)
"""For one query over a large history."""
DAY: Final = timedelta(days=1)
AT_ONCE: Final = 4
"""Agents that are checked at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """What the command line says; None leaves it to the configuration."""

    config: Path | None = None
    state_dir: Path | None = None
    venue_url: str | None = None
    market_clock: Path | None = None
    venue: bool = True
    all_agents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where the venue is, and what the account began with, if that is known.

    `trades_itself`: it is left to execute decisions by itself.
    """

    url: str
    start_cash: Decimal | None
    trades_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The answer about one agent; `unreachable` says why its venue was not asked, if it was not."""

    agent_id: AgentId
    name: str
    checked_at: datetime
    invariants: Sequence[Invariant]
    unreachable: str

    @property
    def broken(self) -> Sequence[Invariant]:
        """Those that do not hold."""
        return [one for one in self.invariants if one.violations]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where everything is."""

    settings: Settings
    dsn: str
    venue: Venue
    market_clock: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """An agent to be checked; without a venue it is checked against the database alone."""

    agent_id: AgentId
    name: str
    venue: Venue | None


async def verify(options: VerifyOptions, environment: Mapping[str, str]) -> Sequence[Verification]:
    """Check everything about the default agent, or about every agent that was ever made.

    Raises:
        Invalid: the configuration cannot be used, or the schema is not up to date.
        Unavailable: the database does not answer.
    """
    system = system_of(options, environment)
    await refuse_old_schema(system.dsn, system.settings.database.schema)
    pool = ReaderPool(
        system.dsn,
        schema=system.settings.database.schema,
        connections_max=AT_ONCE,
        command_time_max=QUERY_TIME_MAX,
    )
    try:
        examined = [_default(system), *(await _others(system, pool) if options.all_agents else ())]
        found: list[Verification] = []
        for start in range(0, len(examined), AT_ONCE):
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_verified(options, system, pool, one))
                    for one in examined[start : start + AT_ONCE]
                ]
            found += [task.result() for task in tasks]
    finally:
        await pool.close()
    return found


def _default(system: System) -> _Examined:
    agent = system.settings.agent
    return _Examined(agent_id=AgentId(agent.id), name=agent.name, venue=system.venue)


async def _others(system: System, pool: ReaderPool) -> Sequence[_Examined]:
    """The agents that people have made; the account of a retired one may be gone."""
    records = PostgresAccountRecords(pool)
    return [
        _Examined(
            agent_id=one.id,
            name=one.name,
            venue=replace(system.venue, url=one.trading_engine, start_cash=None)
            if one.lives
            else None,
        )
        for one in await records.accounts(AgentId(system.settings.agent.id))
    ]


async def _verified(
    options: VerifyOptions, system: System, pool: ReaderPool, one: _Examined
) -> Verification:
    given = await circumstances(system.settings, system.market_clock, pool, one.agent_id)
    ours = await PostgresRecords(pool).invariants(one.agent_id, given)
    theirs, unreachable = await _venue_side(options, one, pool)
    return Verification(
        agent_id=one.agent_id,
        name=one.name,
        checked_at=given.now or datetime.now(UTC),  # noqa: TID251 -- it is always given here
        invariants=in_order([*ours, *theirs]),
        unreachable=unreachable,
    )


async def refuse_old_schema(dsn: str, schema: str) -> None:
    """The checks are about the present tables. Raises Invalid when some are missing."""
    missing = [one.version for one in await status(dsn, schema=schema) if one.applied_at is None]
    if missing:
        raise Invalid(
            [f"the database lacks migration {', '.join(missing)}: run `tradesaga migrate up`"]
        )


async def check_everything(
    pool: ReaderPool,
    agent_id: AgentId,
    *,
    venue: Venue,
    given: Circumstances,
) -> Sequence[Invariant]:
    """All invariants of database and venue, in order of their numbers. Raises Unavailable."""
    ours = await PostgresRecords(pool).invariants(agent_id, given)
    return in_order([*ours, *await check_venue(pool, agent_id, venue)])


async def check_venue(pool: ReaderPool, agent_id: AgentId, venue: Venue) -> Sequence[Invariant]:
    """Our books against the venue's. Raises Unavailable."""
    tally, records = Tally(pool, agent_id), PostgresRecords(pool)

    async def ours() -> OurBooks:
        return OurBooks(
            orders=await tally.orders(),
            positions=await records.positions(agent_id),
            reserved=await tally.reserved(),
            start_cash=venue.start_cash,
            left=await tally.left() if venue.trades_itself else (),
        )

    return await compare_until_settled(venue.url, ours)


def in_order(found: Sequence[Invariant]) -> Sequence[Invariant]:
    """By number; within a number as they came."""
    return sorted(found, key=lambda one: int(one.name.partition("_")[0].removeprefix("I")))


async def _venue_side(
    options: VerifyOptions, one: _Examined, pool: ReaderPool
) -> tuple[Sequence[Invariant], str]:
    if not options.venue:
        return not_asked("left out by --no-venue"), ""
    if one.venue is None:
        return not_asked("the agent was retired"), ""
    try:
        return await check_venue(pool, one.agent_id, one.venue), ""
    except Unavailable as error:
        return not_asked("the venue does not answer"), str(error)


def system_of(options: VerifyOptions, environment: Mapping[str, str]) -> System:
    """The system that the options mean. Raises Invalid, Unavailable when none was started."""
    plan = databases.plan(options.config, environment, {})
    settings, state_dir = plan.loaded.settings, options.state_dir
    if state_dir is None and plan.embeds_postgres:
        state_dir = default_state_dir()
    dsn = translation.dsn_of(settings)
    if plan.embeds_postgres:
        assert state_dir is not None
        dsn = _embedded_dsn(state_dir.resolve(), settings)
    replay = state_dir is not None and is_replay(state_dir)
    url, start_cash, clock = settings.services.trading_engine.url, None, options.market_clock
    if replay and state_dir is not None:
        port = Ports(state_dir / "ports.json").get("paper_trading_engine")
        url, start_cash = f"http://127.0.0.1:{port}", START_CASH
        clock = clock or state_dir / "paper" / CLOCK_FILE
    venue = Venue(
        url=(options.venue_url or url).rstrip("/"),
        start_cash=start_cash,
        trades_itself=is_left_to_engine(settings),
    )
    return System(settings=settings, dsn=dsn, venue=venue, market_clock=clock)


def is_left_to_engine(settings: Settings) -> bool:
    """Whether the engine is left to execute decisions by itself."""
    return translation.self_trading(settings) is SelfTrading.ADOPT


def _embedded_dsn(state_dir: Path, settings: Settings) -> str:
    port = Ports(state_dir / "ports.json").get("postgres")
    if port is None:
        raise Unavailable(
            f"no system was ever started in {state_dir}: name another with --state-dir, or a "
            "database with DB_HOST"
        )
    place = f"host={quote(str(socket_directory(state_dir)), safe='')}&port={port}"
    return f"postgresql://{SUPERUSER}@/{quote(settings.database.name, safe='')}?{place}"


async def circumstances(
    settings: Settings, market_clock: Path | None, pool: ReaderPool, agent_id: AgentId
) -> Circumstances:
    """What the checks must be told: the configuration, and the time. Raises Unavailable."""
    venue = translation.venue_capabilities(settings)
    engine, agent = (
        translation.engine_settings(settings),
        await PostgresRecords(pool).agent(agent_id),
    )
    limits = engine.limits[Mode.NORMAL if agent is None else agent.mode]
    changes = await PostgresRecords(pool).limit_changes(agent_id)
    per_minute, per_day = order_rates(limits, changes)
    now, pace = _time(market_clock)
    sessions: tuple[tuple[datetime, datetime], ...] = ()
    if engine.market_hours_only:
        first, last = await Tally(pool, agent_id).order_times() or (now, now)
        days = translation.calendar_of(settings, (first - DAY).date(), (last + DAY).date())
        sessions = tuple((session.open, session.close) for session in days.sessions)
    return Circumstances(
        now=now,
        pace=pace,
        patience=translation.saga_policy(settings, venue).cancel_time_max,
        orders_per_minute=per_minute,
        orders_per_day=per_day,
        sessions=sessions,
    )


def _time(clock_file: Path | None) -> tuple[datetime, float]:
    """Now, and how fast it passes. Raises Unavailable for a file that is no clock."""
    if clock_file is None:
        return SystemClock().now(), 1.0
    try:
        mapping = unpack(clock_file.read_bytes())
    except OSError as error:
        raise Unavailable(f"{clock_file} cannot be read: {error.strerror}") from error
    if mapping is None:
        raise Unavailable(f"{clock_file} holds no market time: try again")
    return datetime_of(mapping.micros(real_ns())), max(1.0, mapping.rate_milli / 1000)
