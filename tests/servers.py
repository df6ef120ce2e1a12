"""One Postgres and one NATS server for a whole test run, started by the first test that asks.

`python -m tests.servers RUN_DIR PID` is the keeper: it starts both in RUN_DIR, migrates a template
database, says so in RUN_DIR/servers.json, and ends them with the process PID (the pytest
controller, so that no xdist worker's end takes the servers from the others). Speed before
durability: fsync is off. Crash tests start durable servers of their own, see the fixtures.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.postgres.roles import Limits, make_roles
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres

TEMPLATE = "tradesaga_template"
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
}
START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Addresses of the run's servers and the pid of their keeper."""

    keeper: int
    admin_dsn: str
    nats_url: str
    nats_token: str
    nats_monitor_url: str


def new_run_dir() -> Path:
    """Return a new directory in shared memory that the servers' user can reach."""
    shared_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    run_dir = Path(tempfile.mkdtemp(prefix="tradesaga-test-", dir=shared_memory))
    run_dir.chmod(0o711)
    return run_dir


def running(run_dir: Path, controller: int) -> Servers:
    """Return the run's servers; start them if this is the first call of any process."""
    with _locked(run_dir / "start.lock"):
        if (found := _read(run_dir)) is None:
            keeper = _spawn_keeper(run_dir, controller)
            deadline = time.monotonic() + START_SECONDS_MAX
            while (found := _read(run_dir)) is None:
                ended = os.waitpid(keeper, os.WNOHANG)[0]
                if ended or time.monotonic() > deadline:
                    log = (run_dir / "keeper.log").read_text(encoding="utf-8")
                    raise RuntimeError(f"no test servers: {log}")
                time.sleep(0.005)
    return found


def stop(run_dir: Path) -> None:
    """End the servers if any test has started them, and remove the directory."""
    if (found := _read(run_dir)) is not None:
        with contextlib.suppress(ProcessLookupError):
            keeper = os.pidfd_open(found.keeper)
            try:
                signal.pidfd_send_signal(keeper, signal.SIGTERM)
                select.select([keeper], [], [], STOP_SECONDS_MAX)
            finally:
                os.close(keeper)
    shutil.rmtree(run_dir, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(run_dir: Path) -> Servers | None:
    try:
        return Servers(**json.loads((run_dir / "servers.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _spawn_keeper(run_dir: Path, controller: int) -> int:
    # posix_spawn and a session of its own: no Popen object to complain that it still runs, and
    # Ctrl-C reaches pytest first.
    log = os.open(run_dir / "keeper.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        argv = [sys.executable, "-m", "tests.servers", str(run_dir), str(controller)]
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join((root, *filter(None, (os.environ.get("PYTHONPATH"),))))
        return os.posix_spawn(
            sys.executable,
            argv,
            {**os.environ, "PYTHONPATH": path},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
        )
    finally:
        os.close(log)


async def _keep(run_dir: Path, controller: int) -> None:
    stop_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop_asked.set)
    pidfd = os.pidfd_open(controller)
    loop.add_reader(pidfd, stop_asked.set)
    postgres, nats = EmbeddedPostgres(run_dir, FAST), EmbeddedNats(run_dir)
    try:
        async with asyncio.TaskGroup() as starting:
            starting.create_task(postgres.start())
            starting.create_task(nats.start())
        await _make_template(postgres.dsn)
        found = Servers(
            keeper=os.getpid(),
            admin_dsn=postgres.dsn,
            nats_url=nats.url,
            nats_token=nats.token,
            nats_monitor_url=nats.monitor_url,
        )
        staging = run_dir / "servers.json.new"
        staging.write_text(json.dumps(asdict(found)), encoding="utf-8")
        staging.rename(run_dir / "servers.json")
        await stop_asked.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        await postgres.stop()
        await nats.stop()
        shutil.rmtree(run_dir, ignore_errors=True)


async def _make_template(admin_dsn: str) -> None:
    admin = await asyncpg.connect(admin_dsn, timeout=15)
    await admin.execute(f"create database {TEMPLATE}")
    template = admin_dsn.replace("/postgres?", f"/{TEMPLATE}?")
    await migrate(template, schema=SCHEMA)
    await make_roles(template, Limits(), schema=SCHEMA)
    await admin.execute(f"alter database {TEMPLATE} with is_template true allow_connections false")
    await admin.close()


if __name__ == "__main__":
    asyncio.run(_keep(Path(sys.argv[1]), int(sys.argv[2])))
