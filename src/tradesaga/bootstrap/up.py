"""`tradesaga up`: one supervisor process that runs everything on this machine.

    databases, checked, schema up to date ──► neighbours (with --paper) and orchestrator ──► agent

Servers that the configuration names are used instead of our own. Nothing that is started here
survives the end of this process, and everything goes on where it was at the next start. What can
be refused is refused before a server starts.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.api.loopback import is_loopback
from tradesaga.bootstrap import databases
from tradesaga.bootstrap.children import Api, Replay, neighbours, spoken_as
from tradesaga.bootstrap.databases import Plan
from tradesaga.bootstrap.display import Display
from tradesaga.bootstrap.fresh import is_replay, put_aside
from tradesaga.bootstrap.nodes import tell_leaders
from tradesaga.bootstrap.playing import (
    Accompanied,
    market_time_left,
    played_of,
    start_once,
)
from tradesaga.bootstrap.processes import Processes, processes_of
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.bootstrap.token_file import ensure_token, read_token, token_path
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid, Rejected
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market_clock import EPOCH
from tradesaga.embedded.fence import Fence
from tradesaga.embedded.state import Ports, make_state_dir
from tradesaga.embedded.supervisor import Event, EventKind, Supervisor
from tradesaga.paper import recordings, strategies
from tradesaga.paper.places import STORE_FILE
from tradesaga.paper.recordings import Recording
from tradesaga.paper.settings import Dialect
from tradesaga.paper.store import Store


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
    record: Path | None = None
    nodes: int = 1
    dialect: Dialect = Dialect.SPECIFICATION


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
    _refuse_unfit_flags(options)
    plan = _plan(options, environment)
    recording = recordings.load(options.data or recordings.DEFAULT_DATA) if options.paper else None
    if options.strategies is not None:
        strategies.load_strategies(options.strategies)
    make_state_dir(options.state_dir)
    async with _sole_owner(options.state_dir):
        processes = _prepare(options, plan, recording, environment, display)
    for unknown in await processes.check_others():
        display.say(f"not verified: {unknown}", "yellow")
    agent_id = AgentId(plan.loaded.settings.agent.id)
    settings = plan.loaded.settings
    return await _Life(options, processes, recording, agent_id, settings, display).live(stop)


class _Life:
    """From the first process to the last."""

    def __init__(
        self,
        options: UpOptions,
        processes: Processes,
        recording: Recording | None,
        agent_id: AgentId,
        settings: Settings,
        display: Display,
    ) -> None:
        self._settings = settings
        self._options = options
        self._processes = processes
        self._recording = recording
        self._agent_id = agent_id
        self._display = display
        self._seen: set[str] = set()

    async def live(self, stop: asyncio.Event) -> bool:
        """Run; whether all is well at the end."""
        ending = asyncio.Event()
        state_dir = self._options.state_dir
        supervisor = Supervisor(state_dir, self._processes.stages, self._tell)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(supervisor), name="follow")
            leading = group.create_task(self._tell_leaders(supervisor), name="leaders")
            stopping = group.create_task(stop.wait(), name="stop")
            for task in (following, stopping):
                task.add_done_callback(lambda _: ending.set())
            await supervisor.run(ending)
            following.cancel()
            leading.cancel()
            stopping.cancel()
        self._display.end_bar()
        self._display.say(f"stopped; the state is kept in {state_dir}", "dim")
        return following.cancelled() or following.result()

    async def _follow(self, supervisor: Supervisor) -> bool:
        """What is done while everything is up; ends with the recording, or when cancelled."""
        loop = asyncio.get_running_loop()
        began, since, had_ended = loop.time(), EPOCH, False
        state_dir = self._options.state_dir
        replay = self._processes.replay
        if replay is not None:
            since, had_ended = market_time_left(replay.neighbours.clock_file)
        await supervisor.up.wait()
        for api in self._processes.apis.values():
            took = f"ready after {loop.time() - began:.1f} s"
            self._display.say(f"API {api.url}/api/v1  {took}", "bold")
        url, file = f"{self._processes.api.url}/api/v1", token_path(state_dir)
        self._display.say(
            f'curl -H "Authorization: Bearer $(cat {file})" {url}/agent/status', "dim"
        )
        if replay is None or self._recording is None:
            self._display.say("the agent is as it was left; Ctrl-C stops everything")
            return await _for_ever()
        good = await self._accompany(replay, self._recording, since)
        if had_ended:
            self._display.say("the recording had been played before; --fresh plays it anew")
        if self._options.exit_at_end:
            return good
        self._display.say("everything stays up for exploring; Ctrl-C stops it", "bold")
        return await _for_ever()

    async def _tell_leaders(self, supervisor: Supervisor) -> None:
        """With several nodes: who leads, whenever that changes."""
        if len(self._processes.apis) == 1:
            return
        await supervisor.up.wait()
        pool = self._reader_pool(connections_max=1)
        try:
            names = {api.url: name for name, api in self._processes.apis.items()}
            await tell_leaders(pool, self._agent_id, names, self._display)
        finally:
            await pool.close()

    async def _accompany(self, replay: Replay, recording: Recording, since: datetime) -> bool:
        """Watch the replay to its end and sum it up; whether all is well."""
        pool = self._reader_pool(connections_max=2)
        try:
            accompanied = Accompanied(
                replay=replay,
                played=played_of(recording),
                api=self._processes.api,
                agent_id=self._agent_id,
                pool=pool,
                display=self._display,
                since=since,
                settings=self._settings,
            )
            token = read_token(token_path(self._options.state_dir))
            if await start_once(self._processes.api, accompanied.tally, token=token):
                self._display.say("the agent runs")
            await accompanied.watch()
            summary = await accompanied.summary()
        finally:
            await pool.close()
        self._display.say("Summary of the run", "bold")
        for line in summary.lines():
            self._display.say(line)
        return summary.is_good

    def _reader_pool(self, *, connections_max: int) -> ReaderPool:
        return ReaderPool(
            self._processes.database.dsn(),
            schema=self._settings.database.schema,
            connections_max=connections_max,
        )

    def _tell(self, event: Event) -> None:
        """Show what the supervisor says, in so far as it is news."""
        name, detail = event.service, event.detail
        match event.kind:
            case EventKind.READY:
                self._display.say(f"{name} {'is back' if name in self._seen else 'ready'}", "dim")
                self._seen.add(name)
            case EventKind.EXITED:
                self._display.say(f"{name} ended ({detail}), restarting", "yellow")
            case EventKind.HUNG:
                self._display.say(f"{name} hangs ({detail}), restarting", "yellow")
            case EventKind.START_FAILED:
                self._display.say(f"{name} did not start: {detail}", "red")
            case EventKind.UP | EventKind.STOPPED:
                pass


def _refuse_unfit_flags(options: UpOptions) -> None:
    if options.nodes > 1 and options.record is not None:
        raise Invalid(["--record notes the life of one process: leave --nodes out"])
    given = {
        "--data": bool(options.data),
        "--exit-at-end": options.exit_at_end,
        "--fresh": options.fresh,
        "--no-governor": not options.governor,
        "--dialect": options.dialect is not Dialect.SPECIFICATION,
    }
    if not options.paper and any(given.values()):
        unfit = [flag for flag, is_given in given.items() if is_given]
        raise Invalid([f"{flag} is for a replay: add --paper, or leave it out" for flag in unfit])


def _plan(options: UpOptions, environment: Mapping[str, str]) -> Plan:
    """The configuration with the flags; without any word on it the API stays on this machine."""
    flags = {"server.host": options.host, "server.port": options.port}
    overrides = {path: str(value) for path, value in flags.items() if value is not None}
    overrides |= spoken_as(options.dialect)
    found = databases.plan(options.config, environment, overrides)
    if found.loaded.origins["server.host"] == "default":
        here = {**overrides, "server.host": "127.0.0.1"}
        found = databases.plan(options.config, environment, here)
    host = found.loaded.settings.server.host
    if not (options.allow_remote or is_loopback(host)):
        raise Invalid(
            [
                f"server.host {host} is open to other machines, and the API speaks plain HTTP: "
                "use --host 127.0.0.1, or put a proxy with TLS in front and say --allow-remote"
            ]
        )
    return found


def _apis(options: UpOptions, plan: Plan) -> Mapping[str, Api]:
    """Where each node listens; the first as configured, the others on ports that are kept."""
    server, ports = plan.loaded.settings.server, Ports(options.state_dir / "ports.json")

    def api(port: int) -> Api:
        return Api(host=server.host, port=port, allow_remote=options.allow_remote)

    others = {f"orchestrator-{n}": f"api-{n}" for n in range(2, options.nodes + 1)}
    return {
        "orchestrator": api(server.port or ports.keep_or_choose("api")),
        **{name: api(ports.keep_or_choose(key)) for name, key in others.items()},
    }


def _replay(options: UpOptions, recording: Recording, plan: Plan) -> Replay:
    return Replay(
        data=[path.resolve() for path in options.data or recordings.DEFAULT_DATA],
        symbols=recording.symbols,
        speed=options.speed,
        governor=options.governor,
        neighbours=neighbours(options.state_dir, options.dialect),
        has_canaries=plan.loaded.origins["risk.canaryPercent"] != "default",
    )


@asynccontextmanager
async def _sole_owner(state_dir: Path) -> AsyncIterator[None]:
    """Hold the supervisor's lock before there is a supervisor. Raises AlreadyRunning."""
    lock = Fence(state_dir / "supervisor.lock")
    if not await lock.take():
        at_once = asyncio.Event()
        at_once.set()
        await Supervisor(state_dir, (), lambda _: None).run(at_once)  # it says who has it
    try:
        yield
    finally:
        lock.drop()


def _prepare(
    options: UpOptions,
    plan: Plan,
    recording: Recording | None,
    environment: Mapping[str, str],
    display: Display,
) -> Processes:
    """Choose ports and processes; refuse what cannot work. The lock must be held."""
    state_dir = options.state_dir
    if options.fresh:
        _put_aside(state_dir, plan, display)
    if recording is not None:
        _refuse_other_data(state_dir, recording)
    apis = _apis(options, plan)
    for api in apis.values():
        _refuse_taken_port(api)
    if ensure_token(state_dir) is None:
        raise Invalid([f"no token file can be written in {state_dir}: choose another --state-dir"])
    return processes_of(
        plan,
        state_dir=state_dir,
        apis=apis,
        replay=None if recording is None else _replay(options, recording, plan),
        strategies=None if options.strategies is None else options.strategies.resolve(),
        config=None if options.config is None else options.config.resolve(),
        environment=environment,
        record=None if options.record is None else options.record.resolve(),
    )


def _put_aside(state_dir: Path, plan: Plan, display: Display) -> None:
    if not (plan.embeds_postgres and plan.embeds_nats):
        raise Invalid(["--fresh: the servers are not ours; name another database instead"])
    if (place := put_aside(state_dir)) is not None:
        display.say(f"the former run is put aside in {place}", "dim")


def _refuse_other_data(state_dir: Path, recording: Recording) -> None:
    """A replay of other data has other prices: its positions would mean nothing."""
    if not is_replay(state_dir):
        return
    path = state_dir / "paper" / STORE_FILE
    try:
        Store(path, fingerprint=recording.fingerprint, start_cash=START_CASH).close()
    except Invalid as error:
        raise Invalid(
            [
                f"{state_dir} holds a replay of other recorded data: --fresh puts it aside and "
                "begins anew, or choose another directory with --state-dir"
            ]
        ) from error


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
