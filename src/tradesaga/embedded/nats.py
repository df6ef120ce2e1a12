"""A NATS server with JetStream below the state directory, owned by the process that starts it.

An acknowledged message is on the disk (`sync_interval: always`; the server's own default
acknowledges first and syncs two minutes later). It listens on 127.0.0.1 with a token, or
with a login for each of the users it is given, each allowed its own subjects; ports and secrets
are chosen once and kept.

NATS has no lock on its store, so two servers would both write: the fence is held before a start.
Refuses a store that a newer release has written.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradesaga.embedded.binaries import find_nats, version_tuple
from tradesaga.embedded.failures import StartFailed, Unusable
from tradesaga.embedded.identity import Identity, first_denied, server_environment, server_identity
from tradesaga.embedded.probes import http_answer
from tradesaga.embedded.processes import Child, StopStep
from tradesaga.embedded.state import (
    Ports,
    is_free,
    make_private_dir,
    make_state_dir,
    turn_log,
    write_private,
)

START_SECONDS_MAX = 120.0
"""Long, because JetStream reads its whole store after a crash."""
PORT_TRIES = 3
STOP_STEPS = (StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGKILL, 5.0))

# Sizes may stand bare, durations may not: 2m without quotes is two million seconds. `always` is
# a word. Strings are written by json.dumps, whose escapes the format shares.
_CONFIG = """\
server_name: "tradesaga"
host: "127.0.0.1"
port: {client}
http: "127.0.0.1:{monitor}"
ports_file_dir: {directory}
max_payload: 1MB
authorization {{ {login} }}
jetstream {{
  store_dir: {store}
  max_memory_store: 64MB
  max_file_store: 4GB
  sync_interval: always
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsUser:
    """Who may log in, and the subjects that it may publish on and subscribe to; no others.

    What is in `refused` it may not publish on, whatever else allows it.
    """

    name: str
    publish: Sequence[str]
    subscribe: Sequence[str]
    refused: Sequence[str] = ()


class EmbeddedNats:
    """One NATS server; `url` and `token` are valid from the end of the first `start` on.

    With `users` the token opens nothing: see `password`.
    """

    name = "nats"

    def __init__(self, state_dir: Path, users: Sequence[NatsUser] = ()) -> None:
        self._users = tuple(users)
        self.state_dir = state_dir.resolve()
        self.directory = self.state_dir / "nats"
        self.child = Child(
            self.name,
            fence=self.state_dir / "nats.fence",
            log=self.state_dir / "nats.log",
            stop_steps=STOP_STEPS,
        )
        self._ports = Ports(self.state_dir / "ports.json")
        self._client: int | None = None
        self._monitor: int | None = None
        self._token: str | None = None
        self._identity: Identity | None = None
        self._address_known = False

    @property
    def url(self) -> str:
        """Address for clients, without the token."""
        return f"nats://127.0.0.1:{self.client_port}"

    @property
    def client_port(self) -> int:
        """The port for clients."""
        assert self._client is not None, "known after the first start"
        return self._client

    @property
    def monitor_url(self) -> str:
        """Address of the monitoring endpoints: read-only, no login."""
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def monitor_port(self) -> int:
        """The port of the monitoring endpoints."""
        assert self._monitor is not None, "known after the first start"
        return self._monitor

    @property
    def token(self) -> str:
        """The secret that clients show; also in the file `nats/token`."""
        assert self._token is not None, "known after the first start"
        return self._token

    def password(self, user: str) -> str:
        """The password of one of the users; also in the file `nats/logins.json`."""
        return read_logins(self.state_dir)[user]

    async def start(self) -> None:
        """Bring it up until JetStream is healthy.

        Raises Unusable, StartFailed; nothing is left running then.
        """
        self._identity = server_identity(self.directory)
        make_state_dir(self.state_dir)
        await self.child.take_over()
        try:
            await self._start_server()
        except BaseException:
            self.child.fence.drop()
            raise

    async def stop(self) -> None:
        """End it, cleanly if it lets us. Idempotent."""
        await self.child.stop()

    async def alive(self) -> bool:
        """Whether the monitor calls it healthy.

        A stream that could not be written stays broken when the disk has room again, until the
        server is started anew (nats-io/nats-server #7654); a start on a full disk is refused.
        """
        return await self._is_healthy()

    async def _start_server(self) -> None:
        identity = self._identity
        make_private_dir(self.directory, identity)
        binary = await find_nats(self.state_dir, identity)
        denied = await first_denied(identity, (self.directory, os.W_OK | os.X_OK))
        if denied is not None:
            user = "this user" if identity is None else f"user {identity.user}"
            raise Unusable(
                f"NATS runs as {user}, who cannot reach {denied}: a directory above it is closed; "
                "open it (chmod o+x) or choose another with --state-dir"
            )
        version_file = self.directory / "version"
        _check_not_older(binary.version, version_file)
        turn_log(self.child.log)
        for attempt in range(PORT_TRIES):
            config = self._configure()
            self.child.spawn(
                [str(binary.path), "-c", str(config)],
                death_signal=signal.SIGTERM,
                identity=identity,
                env=server_environment(),
            )
            try:
                await self.child.until(self._ready, START_SECONDS_MAX)
            except StartFailed:
                # Lost a port between probe and start; anything else is final.
                if self._ports_free() or attempt == PORT_TRIES - 1:
                    raise
                await self.child.take_over()
            else:
                break
        self._address_known = True
        write_private(version_file, binary.version + "\n")

    def _configure(self) -> Path:
        for leftover in self.directory.glob("*.ports"):  # of a killed server
            leftover.unlink()
        token_file = self.directory / "token"
        if not token_file.exists():
            write_private(token_file, secrets.token_urlsafe(32))
        self._token = token_file.read_text(encoding="utf-8").strip()
        # Clients know the address by now: wait for a stranger to leave rather than move away.
        if not self._address_known:
            self._client = self._ports.keep_or_choose("nats")
            self._monitor = self._ports.keep_or_choose("nats_monitor")
        config = self.directory / "nats.conf"
        text = _CONFIG.format(
            client=self._client,
            monitor=self._monitor,
            directory=json.dumps(str(self.directory)),
            store=json.dumps(str(self.directory / "store")),
            login=self._login(),
        )
        write_private(config, text, self._identity)
        return config

    def _login(self) -> str:
        """The terms of the login, as the server's configuration says them."""
        if not self._users:
            return f"token: {json.dumps(self._token)}"
        kept = read_logins(self.state_dir)
        logins = {
            user.name: kept.get(user.name) or secrets.token_urlsafe(32) for user in self._users
        }
        write_private(logins_path(self.state_dir), json.dumps(logins, indent=2) + "\n")
        users = [
            {
                "user": user.name,
                "password": logins[user.name],
                "permissions": {
                    "publish": {"allow": list(user.publish), "deny": list(user.refused)},
                    "subscribe": {"allow": list(user.subscribe)},
                },
            }
            for user in self._users
        ]
        return f"users: {json.dumps(users)}"

    def _ports_free(self) -> bool:
        return all(is_free(port) for port in (self._client, self._monitor) if port is not None)

    async def _ready(self) -> bool:
        """Wait for the file that names our child's pid, so that no stranger answers for it."""
        if not (self.directory / f"nats-server_{self.child.pid}.ports").exists():
            return False
        return await self._is_healthy()

    async def _is_healthy(self) -> bool:
        return (await http_answer(self.monitor_port, "/healthz"))[0] == 200


def logins_path(state_dir: Path) -> Path:
    """Where the passwords of the users are kept (0600)."""
    return state_dir / "nats" / "logins.json"


def read_logins(state_dir: Path) -> Mapping[str, str]:
    """Passwords by user; empty when the server was never started with users."""
    try:
        found = json.loads(logins_path(state_dir).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(user): str(secret) for user, secret in found.items()}


def _check_not_older(version: str, version_file: Path) -> None:
    """Refuse to open a store with a release older than the last that wrote it."""
    if not version_file.exists():
        return
    written_by = version_file.read_text(encoding="utf-8").strip()
    if version_tuple(version)[:2] < version_tuple(written_by)[:2]:
        raise Unusable(
            f"the NATS store {version_file.parent} was written by {written_by}, found {version}: "
            f"install nats-server {written_by} or newer"
        )
