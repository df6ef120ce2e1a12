"""`tradesaga up`: one supervisor process that runs everything on this machine.

    databases, checked, schema up to date ──► neighbours (with --paper) and orchestrator ──► agent

Servers that the configuration names are used instead of our own. On a later start the addresses
are known beforehand, so all begin at once and wait for each other. Nothing here survives the end
of this process, and everything goes on where it was at the next start.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.api.loopback import is_loopback
from tradesaga.bootstrap import children, databases
from tradesaga.bootstrap.children import Api, Replay
from tradesaga.bootstrap.databases import OtherNats, OtherPostgres, OwnNats, OwnPostgres, Plan
from tradesaga.bootstrap.display import Display, Played
from tradesaga.bootstrap.fresh import is_replay, put_aside
from tradesaga.bootstrap.playing import (
    Accompanied,
    market_time_left,
    played_of,
    start_once,
)
from tradesaga.domain.errors import Invalid, Rejected
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market_clock import EPOCH
from tradesaga.embedded.fence import Fence
from tradesaga.embedded.state import Ports, make_state_dir
from tradesaga.embedded.supervisor import Event, EventKind, Service, Supervisor
from tradesaga.paper import recordings, strategies
from tradesaga.paper.places import STORE_FILE
from tradesaga.paper.store import Store

START_CASH: Final = Decimal(100_000)


class PortTaken(Rejected):
    """Another process listens where our API should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What the command line says; None leaves it to the configuration."""

    state_dir: Path
    paper: bool = False
    data: tuple[Path, ...] = ()
    speed: float = 60.0
    governor: bool = True
    strategies: Path | None = None
    config: Path | None = None
    host: str | None = None
    port: int | None = None
    allow_remote: bool = False
    exit_at_end: bool = False
    fresh: bool = False


async def up(
    options: UpOptions,
    environment: Mapping[str, str],
    display: Display,
    stop: asyncio.Event,
) -> bool:
    """Run until `stop` is set, or to the end of the recording; whether all is well then.

    Raises:
        Invalid: configuration, data, strategies or servers cannot be used; every problem named.
        AlreadyRunning: another supervisor has the state directory.
        Rejected: the port is taken, or the machine or directory cannot hold the servers.
        Unavailable: a server did not come up, or does not stay up.
    """
    plan = _plan(options, environment)
    recording = recordings.load(options.data or recordings.DEFAULT_DATA) if options.paper else None
    if options.strategies is not None:
        strategies.load_strategies(options.strategies)
    make_state_dir(options.state_dir)
    run = _Run(options, plan, environment, display, recording)
    await run.prepare()
    return await run.go(stop)


class _Run:
    """One life of the supervisor."""

    def __init__(
        self,
        options: UpOptions,
        plan: Plan,
        environment: Mapping[str, str],
        display: Display,
        recording: recordings.Recording | None,
    ) -> None:
        self._options = options
        self._plan = plan
        self._environment = environment
        self._display = display
        self._recording = recording
        self._state_dir = options.state_dir
        server = plan.loaded.settings.server
        port = server.port or Ports(self._state_dir / "ports.json").keep_or_choose("api")
        self._api = Api(host=server.host, port=port, allow_remote=options.allow_remote)
        self._ready: set[str] = set()
        self._started_at = 0.0

    async def prepare(self) -> None:
        """Everything that is to be refused before a server starts."""
        lock = Fence(self._state_dir / "supervisor.lock")
        if await lock.take():  # else the supervisor says who has it
            try:
                if self._options.fresh:
                    self._put_aside()
                self._refuse_other_data()
                _refuse_taken_port(self._api)
            finally:
                lock.drop()

    async def go(self, stop: asyncio.Event) -> bool:
        """Run; whether all is well at the end."""
        self._started_at = asyncio.get_running_loop().time()
        ending = asyncio.Event()
        supervisor = Supervisor(self._state_dir, await self._stages(), self._tell)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(supervisor), name="follow")
            following.add_done_callback(lambda _: ending.set())
            stopping = group.create_task(stop.wait(), name="stop")
            stopping.add_done_callback(lambda _: ending.set())
            await supervisor.run(ending)
            following.cancel()
            stopping.cancel()
        self._display.end_bar()
        self._display.say(f"stopped; the state is kept in {self._state_dir}", "dim")
        return following.cancelled() or following.result()

    async def _stages(self) -> Sequence[Sequence[Service]]:
        settings = self._plan.loaded.settings
        servers: list[Service] = []
        foreseeable = True
        self._database: OwnPostgres | OtherPostgres
        self._bus: OwnNats | OtherNats
        if self._plan.embeds_postgres:
            self._database = own_postgres = OwnPostgres(self._state_dir, settings)
            servers.append(own_postgres)
            foreseeable = own_postgres.foreseeable
        else:
            self._database = OtherPostgres(settings)
            await self._database.make_ready()
        if self._plan.embeds_nats:
            self._bus = own_nats = OwnNats(self._state_dir)
            servers.append(own_nats)
            foreseeable = foreseeable and own_nats.foreseeable
        else:
            self._bus = OtherNats(settings)
            for unknown in await self._bus.check():
                self._display.say(f"not verified: {unknown}", "yellow")
        programs = self._programs()
        return [[*servers, *programs]] if foreseeable else [servers, programs]

    def _programs(self) -> list[Service]:
        self._replay = replay = self._replay_of()
        programs: list[Service] = []
        if replay is not None:
            settings = self._plan.loaded.settings
            programs.append(
                children.paper_program(
                    self._state_dir, replay, self._bus, settings, self._environment
                )
            )
        config = None if self._options.config is None else self._options.config.resolve()
        programs.append(
            children.serve_program(
                self._state_dir,
                self._api,
                self._database,
                self._bus,
                replay,
                config,
                self._environment,
            )
        )
        return programs

    def _replay_of(self) -> Replay | None:
        if self._recording is None:
            return None
        options = self._options
        return Replay(
            data=[path.resolve() for path in options.data or recordings.DEFAULT_DATA],
            symbols=self._recording.symbols,
            speed=options.speed,
            governor=options.governor,
            strategies=None if options.strategies is None else options.strategies.resolve(),
            neighbours=children.neighbours(self._state_dir),
        )

    async def _follow(self, supervisor: Supervisor) -> bool:
        """What is done while everything is up; ends with the recording, or when cancelled."""
        since, had_ended = EPOCH, False
        if self._replay is not None:
            since, had_ended = market_time_left(self._replay.neighbours.clock_file)
        await supervisor.up.wait()
        took = asyncio.get_running_loop().time() - self._started_at
        self._display.say(f"API {self._api.url}/api/v1  ready after {took:.1f} s", "bold")
        if self._replay is None or self._recording is None:
            self._display.say("the agent is as it was left; Ctrl-C stops everything")
            return await _for_ever()
        pool = ReaderPool(self._database.dsn(), connections_max=2)
        try:
            good = await self._accompany(pool, self._replay, played_of(self._recording), since)
        finally:
            await pool.close()
        if had_ended:
            self._display.say("the recording had been played before; --fresh plays it anew")
        if self._options.exit_at_end:
            return good
        self._display.say("everything stays up for exploring; Ctrl-C stops it", "bold")
        return await _for_ever()

    async def _accompany(
        self, pool: ReaderPool, replay: Replay, played: Played, since: datetime
    ) -> bool:
        accompanied = Accompanied(
            replay=replay,
            played=played,
            api=self._api,
            agent_id=AgentId(self._plan.loaded.settings.agent.id),
            pool=pool,
            display=self._display,
            start_cash=START_CASH,
            since=since,
        )
        if await start_once(self._api, accompanied.tally):
            self._display.say("the agent runs")
        await accompanied.watch()
        summary = await accompanied.summary()
        self._display.say("Summary of the run", "bold")
        for line in summary.lines():
            self._display.say(line)
        return summary.is_good

    def _put_aside(self) -> None:
        if not (self._plan.embeds_postgres and self._plan.embeds_nats):
            raise Invalid(
                ["--fresh: the servers are not ours; name another database and stream instead"]
            )
        if (place := put_aside(self._state_dir)) is not None:
            self._display.say(f"the former run is put aside in {place}", "dim")

    def _refuse_other_data(self) -> None:
        """A replay of other data has other prices: its positions would mean nothing."""
        if self._recording is None or not is_replay(self._state_dir):
            return
        path = self._state_dir / "paper" / STORE_FILE
        try:
            Store(path, fingerprint=self._recording.fingerprint, start_cash=START_CASH).close()
        except Invalid as error:
            raise Invalid(
                [
                    f"{self._state_dir} holds a replay of other recorded data: --fresh puts it "
                    "aside and begins anew, or choose another directory with --state-dir"
                ]
            ) from error

    def _tell(self, event: Event) -> None:
        """Show what the supervisor says, in so far as it is news."""
        first = event.service not in self._ready
        match event.kind:
            case EventKind.READY:
                self._ready.add(event.service)
                self._display.say(f"{event.service} {'ready' if first else 'is back'}", "dim")
            case EventKind.EXITED:
                self._display.say(f"{event.service} ended ({event.detail}), restarting", "yellow")
            case EventKind.HUNG:
                self._display.say(f"{event.service} hangs ({event.detail}), restarting", "yellow")
            case EventKind.START_FAILED:
                self._display.say(f"{event.service} did not start: {event.detail}", "red")
            case EventKind.UP | EventKind.STOPPED:
                pass


def _plan(options: UpOptions, environment: Mapping[str, str]) -> Plan:
    """The configuration with the flags; without any word on it the API stays on this machine."""
    flags = {"server.host": options.host, "server.port": options.port}
    overrides = {path: str(value) for path, value in flags.items() if value is not None}
    found = databases.plan(options.config, environment, overrides)
    if found.loaded.origins["server.host"] == "default":
        found = databases.plan(
            options.config, environment, {**overrides, "server.host": "127.0.0.1"}
        )
    host = found.loaded.settings.server.host
    if not (options.allow_remote or is_loopback(host)):
        raise Invalid(
            [
                f"server.host {host} is open to other machines, and the API knows no "
                "authentication: use --host 127.0.0.1, or put a proxy in front and say "
                "--allow-remote"
            ]
        )
    return found


def _refuse_taken_port(api: Api) -> None:
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    try:
        socket.create_server((api.host, api.port), family=family).close()
    except OSError as error:
        raise PortTaken(
            f"the API cannot listen on {api.host} port {api.port} ({error.strerror}): stop what "
            "uses it, or choose another with --port"
        ) from error


async def _for_ever() -> bool:
    await asyncio.Event().wait()
    return True
