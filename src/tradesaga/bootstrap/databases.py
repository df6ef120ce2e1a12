"""Postgres and NATS for `tradesaga up`: our embedded ones, or those that the configuration names.

Either way the server is asked what it is before anything relies on it: settings are read back, and
a server that would lose what it acknowledges is refused with every problem named. An embedded one
counts as started only when that, the database and the schema are done; so nothing that starts
after it meets half of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from tradesaga.adapters.nats.preflight import LAZY, check_nats
from tradesaga.adapters.postgres.database import ensure_database
from tradesaga.adapters.postgres.migrate import migrate
from tradesaga.adapters.postgres.preflight import check_postgres
from tradesaga.adapters.postgres.roles import APP, READER, make_roles, set_password
from tradesaga.bootstrap.bus_users import OPERATOR, ORCHESTRATOR, users_of
from tradesaga.bootstrap.schema import missing, role_limits
from tradesaga.bootstrap.translation import dsn_of
from tradesaga.config import Loaded, Settings, load
from tradesaga.domain.errors import Invalid, Refused
from tradesaga.embedded.nats import EmbeddedNats, logins_path, read_logins
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.processes import Child
from tradesaga.embedded.state import Ports, is_free, keep_login

EMBEDDED_HOST: Final = "embedded.invalid"
"""Stands for a server that nobody has named; never looked up."""
_EMBEDDED_URL: Final = f"nats://{EMBEDDED_HOST}:4222"
_NO_SUCH_DATABASE: Final = "3D000"
Variables = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The configuration, and which of the two servers are ours to run."""

    loaded: Loaded
    embeds_postgres: bool
    embeds_nats: bool


def plan(path: Path | None, environment: Variables, overrides: Variables) -> Plan:
    """Load the configuration, with stand-ins for servers that it leaves to us. Raises Invalid."""
    stand_ins: dict[str, str] = {}
    if not environment.get("DB_HOST") and not environment.get("DB_PORT"):
        stand_ins |= {"DB_HOST": EMBEDDED_HOST, "DB_PORT": "1"}
    if not environment.get("NATS_URL"):
        stand_ins["NATS_URL"] = _EMBEDDED_URL
    loaded = load(path, {**environment, **stand_ins}, overrides)
    return Plan(
        loaded=loaded,
        embeds_postgres=loaded.settings.database.host == EMBEDDED_HOST,
        embeds_nats=loaded.settings.event_bus.url == _EMBEDDED_URL,
    )


class Database(Protocol):
    """Where Postgres is."""

    def variables(self) -> Variables:
        """What a child needs in its environment beside the configuration, to find it."""
        ...

    def dsn(self) -> str:
        """Our database, for this process."""
        ...


class EventBus(Protocol):
    """Where NATS is."""

    def variables(self) -> Variables:
        """What a child needs in its environment beside the configuration, to find it."""
        ...

    def neighbours(self) -> Variables:
        """What the simulated neighbours need in their environment to find it."""
        ...


class OwnPostgres:
    """The embedded Postgres as a service of the supervisor, with our database up to date."""

    name = "postgres"

    def __init__(self, state_dir: Path, settings: Settings) -> None:
        self._server = EmbeddedPostgres(state_dir)
        self._note = state_dir / "database-made"
        self._foreseen = _kept_port(state_dir, "postgres")
        self._started = False
        self._database = settings.database.name
        self._schema = settings.database.schema
        self._limits = role_limits(settings)
        self._made = f"{self._database}\n{APP}\n"
        self._reader_login = state_dir / "pgpass-reader"

    @property
    def child(self) -> Child:
        """The process behind it."""
        return self._server.child

    @property
    def foreseeable(self) -> bool:
        """Whether its address is known already, most probably, and our database is there."""
        made = self._note.is_file() and self._note.read_text(encoding="utf-8") == self._made
        initialised = (self._server.data_dir / "PG_VERSION").exists()
        return self._foreseen is not None and made and initialised

    async def start(self) -> None:
        """Start it, check it, and make our database ready. Raises as `EmbeddedPostgres.start`."""
        await self._server.start()
        if self._started:
            return
        try:
            await self._make_ready()
        except BaseException:
            await self._server.stop()
            raise
        self._started = True

    async def alive(self) -> bool:
        """See `EmbeddedPostgres.alive`."""
        return await self._server.alive()

    async def stop(self) -> None:
        """See `EmbeddedPostgres.stop`."""
        await self._server.stop()

    def variables(self) -> Variables:
        """The socket's directory serves as the host; who may enter it needs no password."""
        port = self._foreseen if not self._started and self._foreseen else self._server.port
        return {
            "ORCHESTRATOR__DATABASE__HOST": str(self._server.socket_dir),
            "ORCHESTRATOR__DATABASE__PORT": str(port),
            "ORCHESTRATOR__DATABASE__USER": APP,
            "ORCHESTRATOR__DATABASE__PASSWORD": "",
        }

    def dsn(self) -> str:
        """Our database, for this process, as its owner."""
        return self._server.dsn.replace("/postgres?", f"/{quote(self._database, safe='')}?", 1)

    async def _make_ready(self) -> None:
        report = await check_postgres(self._server.dsn, schema=self._schema)
        if report.problems:
            raise Invalid(report.problems)
        await ensure_database(self._server.dsn, self._database)
        await migrate(self.dsn(), schema=self._schema)
        await make_roles(self.dsn(), self._limits, schema=self._schema)
        await self._keep_reader_login()
        self._note.write_text(self._made, encoding="utf-8")

    async def _keep_reader_login(self) -> None:
        """Dashboards come over TCP, with a password of their own in a file like `pgpass`."""
        password = keep_login(self._reader_login, self._server.port, READER)
        await set_password(self.dsn(), READER, password)


class OwnNats:
    """The embedded NATS as a service of the supervisor, checked once."""

    name = "nats"

    def __init__(self, state_dir: Path, settings: Settings) -> None:
        self._users = users_of(settings)
        self._state_dir = state_dir
        self._server = EmbeddedNats(state_dir, self._users)
        self._foreseen = _kept_port(state_dir, "nats")
        self._started = False

    @property
    def child(self) -> Child:
        """The process behind it."""
        return self._server.child

    @property
    def foreseeable(self) -> bool:
        """Whether its address is known already, most probably."""
        known = read_logins(self._state_dir)
        return self._foreseen is not None and all(user.name in known for user in self._users)

    async def start(self) -> None:
        """Start and check it. Raises as `EmbeddedNats.start`."""
        await self._server.start()
        if self._started:
            return
        try:
            await self._check()
        except BaseException:
            await self._server.stop()
            raise
        self._started = True

    async def alive(self) -> bool:
        """See `EmbeddedNats.alive`."""
        return await self._server.alive()

    async def stop(self) -> None:
        """See `EmbeddedNats.stop`."""
        await self._server.stop()

    def variables(self) -> Variables:
        """Its address and our login under the names of the configuration."""
        return {
            "ORCHESTRATOR__EVENTBUS__URL": self._url,
            "ORCHESTRATOR__EVENTBUS__USER": ORCHESTRATOR,
            "ORCHESTRATOR__EVENTBUS__TOKEN": self._server.password(ORCHESTRATOR),
        }

    def neighbours(self) -> Variables:
        """Its address, and the file in which each of them finds its own login."""
        return {"NATS_URL": self._url, "NATS_LOGINS": str(logins_path(self._state_dir))}

    @property
    def _url(self) -> str:
        if not self._started and self.foreseeable:
            return f"nats://127.0.0.1:{self._foreseen}"
        return self._server.url

    async def _check(self) -> None:
        server = self._server
        login = server.password(OPERATOR)
        report = await check_nats(server.url, login, server.monitor_url, user=OPERATOR)
        if report.problems or report.unverified:
            raise Invalid([*report.problems, *report.unverified])


@dataclass(frozen=True, slots=True)
class OtherPostgres:
    """A Postgres elsewhere, as configured; children read the same configuration."""

    settings: Settings

    def variables(self) -> Variables:
        """Nothing."""
        return {}

    def dsn(self) -> str:
        """Our database."""
        return dsn_of(self.settings)

    async def make_ready(self) -> None:
        """Check it and make our database ready. Raises Invalid, Refused, Unavailable."""
        try:
            report = await check_postgres(self.dsn(), schema=self.settings.database.schema)
        except Refused as error:
            if error.code != _NO_SUCH_DATABASE:
                raise
            database = self.settings.database
            always_there = replace(self.settings, database=replace(database, name="postgres"))
            await ensure_database(dsn_of(always_there), database.name)
            report = await check_postgres(self.dsn(), schema=self.settings.database.schema)
        if report.problems:
            raise Invalid(report.problems)
        await migrate(self.dsn(), schema=self.settings.database.schema)
        if lacks := await missing(self.dsn(), self.settings.database.schema):
            raise Invalid(lacks)


@dataclass(frozen=True, slots=True)
class OtherNats:
    """A NATS server elsewhere, as configured; children read the same configuration."""

    settings: Settings

    def variables(self) -> Variables:
        """Nothing."""
        return {}

    def neighbours(self) -> Variables:
        """The token for all of them, unless the environment has NATS_LOGINS."""
        bus = self.settings.event_bus
        return {"NATS_URL": bus.url, "NATS_TOKEN": bus.token.reveal()}

    async def check(self) -> tuple[str, ...]:
        """Check it; what could not be found out. Raises Invalid, Refused, Unavailable."""
        return await check_bus(self.settings)


async def check_bus(settings: Settings) -> tuple[str, ...]:
    """Whether the configured server keeps what it acknowledges; what is not so, or not known.

    Raises:
        Invalid: it does not, and nobody has said that it need not.
        Refused, Unavailable: as `check_nats`.
    """
    bus = settings.event_bus
    monitor = bus.monitor_url or None
    report = await check_nats(bus.url, bus.token.reveal() or None, monitor, user=bus.user)
    lazy = [problem for problem in report.problems if LAZY in problem]
    if bus.accept_lazy_sync and len(lazy) == len(report.problems):
        return (*lazy, *report.unverified)
    if report.problems:
        raise Invalid(report.problems)
    return report.unverified


def _kept_port(state_dir: Path, use: str) -> int | None:
    port = Ports(state_dir / "ports.json").get(use)
    return port if port is not None and is_free(port) else None
