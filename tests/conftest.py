"""Fixtures for all tests: a fresh database, the run's NATS server, durable servers to be killed.

Nothing starts before the first test that asks for it; see tests/servers.py. A database is a clone
of the migrated template, not a rolled-back transaction: the code under test commits, listens,
locks and uses several connections.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from tests import servers
from tests.servers import Servers
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres

settings.register_profile(
    "busy", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")  # before any test is defined; the machine may be busy
RUN_VARIABLE = "TRADESAGA_TEST_RUN"
"""RUN_DIR:PID of the controller, handed to xdist's workers."""

_numbers = itertools.count()
_own_run = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    run_dir = servers.new_run_dir()
    config.stash[_own_run] = run_dir
    os.environ[RUN_VARIABLE] = f"{run_dir}:{os.getpid()}"


def pytest_unconfigure(config: pytest.Config) -> None:
    if (run_dir := config.stash.get(_own_run, None)) is not None:
        servers.stop(run_dir)


@pytest.fixture(scope="session")
def run_servers() -> Servers:
    """The run's Postgres (fsync off) and NATS."""
    run_dir, _, controller = os.environ[RUN_VARIABLE].rpartition(":")
    return servers.running(Path(run_dir), int(controller))


@pytest.fixture
async def database_dsn(run_servers: Servers) -> AsyncIterator[str]:
    """DSN of a fresh database with all migrations applied."""
    name = _unique("test")
    admin = await asyncpg.connect(run_servers.admin_dsn, timeout=15, command_timeout=15)
    try:
        await admin.execute(
            f"create database {name} template {servers.TEMPLATE} strategy file_copy"
        )
        yield run_servers.admin_dsn.replace("/postgres?", f"/{name}?")
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture
def nats_url(run_servers: Servers) -> str:
    """Address of the run's NATS server; show it `nats_token`."""
    return run_servers.nats_url


@pytest.fixture
def nats_token(run_servers: Servers) -> str:
    """Token of the run's NATS server."""
    return run_servers.nats_token


@pytest.fixture
def subject_prefix() -> str:
    """A prefix for subjects and stream names that no other test has."""
    return _unique("t")


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state directory on the disk that an unprivileged server can reach as well."""
    # Not tmp_path: pytest closes its parent to all others, root's servers included.
    path = Path(tempfile.mkdtemp(prefix="tradesaga-state-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def durable_postgres(state_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A Postgres of this test alone, with the product's durable settings; it may be killed."""
    postgres = EmbeddedPostgres(state_dir)
    await postgres.start()
    yield postgres
    await postgres.stop()


@pytest.fixture
async def durable_nats(state_dir: Path) -> AsyncIterator[EmbeddedNats]:
    """A NATS server of this test alone, with the product's durable settings; it may be killed."""
    nats = EmbeddedNats(state_dir)
    await nats.start()
    yield nats
    await nats.stop()


def _unique(prefix: str) -> str:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return f"{prefix}_{worker}_{os.getpid()}_{next(_numbers)}"
