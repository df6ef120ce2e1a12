"""A Postgres cluster below the state directory, durable, owned by the process that starts it.

Clients use the unix socket (trusted: its directory is 0700); psql may use TCP on 127.0.0.1 with
the password of `pgpass`. The port, which is part of the socket's name too, is chosen once and
stays for the life of this object, so that clients find a restarted server.

Refuses a cluster of another major version, and to start beside anything left of a former life.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from tradesaga.embedded.binaries import PostgresBinaries, find_postgres
from tradesaga.embedded.failures import StartFailed, Unusable
from tradesaga.embedded.identity import Identity, first_denied, server_environment, server_identity
from tradesaga.embedded.processes import Child, StopStep
from tradesaga.embedded.state import (
    Ports,
    is_free,
    make_private_dir,
    make_state_dir,
    move_durably,
    socket_directory,
    turn_log,
    write_private,
)

SUPERUSER = "tradesaga"
START_SECONDS_MAX = 300.0
"""Long, because crash recovery replays the log first; a server that dies is noticed at once."""
INITDB_SECONDS_MAX = 120.0
PORT_TRIES = 3

# SIGINT = fast, SIGQUIT = immediate. Never SIGTERM: it waits for the clients to leave.
STOP_STEPS = (
    StopStep(signal.SIGINT, 10.0),
    StopStep(signal.SIGQUIT, 5.0),
    StopStep(signal.SIGKILL, 5.0),
)

DURABLE: Mapping[str, str] = MappingProxyType(
    {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
)
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "idle_in_transaction_session_timeout": "1s",
        "max_connections": "100",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


class EmbeddedPostgres:
    """One Postgres server; `settings` override ours by name.

    `dsn` is valid from the end of the first `start` on and stays the same.
    """

    name = "postgres"

    def __init__(self, state_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.state_dir = state_dir.resolve()
        self.data_dir = self.state_dir / "pgdata"
        self.socket_dir = socket_directory(self.state_dir)
        self.pgpass = self.state_dir / "pgpass"
        self.child = Child(
            self.name,
            fence=self.state_dir / "pg.fence",
            log=self.state_dir / "postgres.log",
            stop_steps=STOP_STEPS,
        )
        self._settings = {**SETTINGS, **DURABLE, **(settings or {})}
        self._ports = Ports(self.state_dir / "ports.json")
        self._port: int | None = None
        self._address_known = False
        self._identity: Identity | None = None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, which also names the socket."""
        assert self._port is not None, "known after the first start"
        return self._port

    @property
    def dsn(self) -> str:
        """Address of the unix socket, for our own processes."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{SUPERUSER}@/postgres?host={host}&port={self.port}"

    @property
    def tcp_dsn(self) -> str:
        """Address for tools; the password is in the file `pgpass` (PGPASSFILE)."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/postgres"

    async def start(self) -> None:
        """Bring it up until it accepts connections.

        Raises Unusable, StartFailed; nothing is left running then.
        """
        self._identity = server_identity(self.data_dir)
        make_state_dir(self.state_dir)
        await self.child.take_over()
        try:
            binaries = await self._prepare()
            await self._start_server(binaries)
        except BaseException:
            self.child.fence.drop()
            raise

    async def stop(self) -> None:
        """End it, cleanly if it lets us. Idempotent."""
        await self.child.stop()
        if self.state_dir not in self.socket_dir.parents:
            with contextlib.suppress(OSError):  # never made, or made by somebody else
                self.socket_dir.rmdir()

    async def alive(self) -> bool:
        """Ask for encryption and take any answer: accepting and forking still work.

        Needs no login and no free connection slot, so a full server is not taken for a hung one.
        """
        path = self.socket_dir / f".s.PGSQL.{self.port}"
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(_SSL_REQUEST)
            return await reader.read(1) in (b"N", b"S")
        finally:
            writer.close()

    async def _prepare(self) -> PostgresBinaries:
        """Make directories, choose binaries, initialise if new. The fence must be held."""
        identity = self._identity
        make_private_dir(self.socket_dir, identity)
        if self.data_dir.exists():
            make_private_dir(self.data_dir, identity)
        binaries = await find_postgres(self.state_dir, identity)
        denied = await first_denied(identity, (self.socket_dir, os.W_OK | os.X_OK))
        if denied is not None:
            user = "this user" if identity is None else f"user {identity.user}"
            raise Unusable(
                f"Postgres runs as {user}, who cannot reach {denied}: a directory above it is "
                "closed; open it (chmod o+x) or choose another with --state-dir"
            )
        # Both may name a zombie or a reused pid, then Postgres refuses. We hold the fence, so
        # nothing of this cluster is alive.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.socket_dir.glob(".s.PGSQL.*"):
            leftover.unlink()
        turn_log(self.child.log)
        if not (self.data_dir / "PG_VERSION").exists():
            await self._initialise(binaries)
        self._check_major(binaries)
        return binaries

    async def _start_server(self, binaries: PostgresBinaries) -> None:
        for attempt in range(PORT_TRIES):
            tcp = self._choose_port()
            self._spawn(binaries, tcp=tcp)
            try:
                await self.child.until(self._ready, START_SECONDS_MAX)
            except StartFailed:
                # Lost the race for the port between probe and start; anything else is final.
                if not tcp or is_free(self.port) or attempt == PORT_TRIES - 1:
                    raise
                await self.child.take_over()
            else:
                self._address_known = True
                return

    def _choose_port(self) -> bool:
        """Set the port; False if a stranger holds it, who then keeps TCP from us.

        Once clients know the socket, its name must stay: the server goes on without TCP.
        """
        if self._address_known:
            return is_free(self.port)
        self._port = self._ports.keep_or_choose("postgres")
        self._keep_login()
        return True

    def _spawn(self, binaries: PostgresBinaries, *, tcp: bool) -> None:
        settings = {
            **self._settings,
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
        }
        if binaries.has_statement_statistics:
            settings.setdefault("shared_preload_libraries", "pg_stat_statements")
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self.child.spawn(
            [str(binaries.directory / "postgres"), "-D", str(self.data_dir), *options],
            death_signal=signal.SIGINT,  # a killed supervisor leaves a clean cluster
            identity=self._identity,
            env=server_environment(),
        )

    async def _ready(self) -> bool:
        """Read postmaster.pid: line 1 is our own child, line 8 says ready. Needs no login."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    async def _initialise(self, binaries: PostgresBinaries) -> None:
        """Run initdb beside the data directory, then rename: a killed one never looks whole."""
        identity = self._identity
        if identity is None:
            _require_passwd_entry()
        staging, password_file = self.state_dir / "pgdata.init", self.state_dir / "pgpass.init"
        shutil.rmtree(staging, ignore_errors=True)
        make_private_dir(staging, identity)
        password = secrets.token_urlsafe(32)
        write_private(password_file, password + "\n", identity)
        locale = ["--locale=C"]
        if binaries.major >= 17:  # the first with the builtin provider
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self.child.spawn(
            [
                str(binaries.directory / "initdb"),
                f"--pgdata={staging}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--data-checksums",
                *locale,
            ],
            death_signal=signal.SIGKILL,
            identity=identity,
            env=server_environment(),
        )
        try:
            await self.child.succeeded(INITDB_SECONDS_MAX)
        finally:
            password_file.unlink()
        await self.child.take_over()
        write_private(self.pgpass, f"127.0.0.1:0:*:{SUPERUSER}:{password}\n")
        if self.data_dir.exists():
            try:
                self.data_dir.rmdir()
            except OSError as error:
                raise Unusable(
                    f"{self.data_dir} has files but is no Postgres cluster (no PG_VERSION): "
                    "restore it from a backup, or move it away to begin anew"
                ) from error
        # Undone by a power cut after the first commit, the next start would sweep it away.
        move_durably(staging, self.data_dir)

    def _keep_login(self) -> None:
        """Write the port into `pgpass`; without that file TCP has no known password, no more."""
        if self.pgpass.exists():
            password = self.pgpass.read_text(encoding="utf-8").strip().rpartition(":")[2]
            line = f"127.0.0.1:{self.port}:*:{SUPERUSER}:{password}\n"
            write_private(self.pgpass, line)

    def _check_major(self, binaries: PostgresBinaries) -> None:
        on_disk = (self.data_dir / "PG_VERSION").read_text(encoding="utf-8").strip()
        if on_disk != str(binaries.major):
            raise Unusable(
                f"{self.data_dir} was made by Postgres {on_disk}, found {binaries.version} in "
                f"{binaries.directory}: install Postgres {on_disk}, dump with its pg_dumpall, "
                "and restore into a new state directory"
            )


def _require_passwd_entry() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise Unusable(
            f"uid {os.geteuid()} has no entry in the user database and Postgres's initdb needs "
            "one: add it to /etc/passwd, run as a named user, or give DB_HOST to use a server "
            "elsewhere"
        ) from error
