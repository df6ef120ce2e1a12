"""The start checks name what is wrong with a server, and find nothing wrong with ours."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.servers import Servers
from tradesaga.adapters.nats import preflight as nats_preflight
from tradesaga.adapters.nats.preflight import check_nats
from tradesaga.adapters.postgres import preflight as postgres_preflight
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.preflight import check_postgres
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.embedded.binaries import find_nats
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.probes import http_probe
from tradesaga.embedded.program import Program


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_embedded_postgres_has_no_problem(durable_postgres: EmbeddedPostgres) -> None:
    report = await check_postgres(durable_postgres.dsn, schema=SCHEMA)
    assert report.problems == ()
    assert int(report.version.split(".")[0]) >= 15


async def test_the_run_s_postgres_is_told_that_it_is_not_durable(run_servers: Servers) -> None:
    problems = (await check_postgres(run_servers.admin_dsn, schema=SCHEMA)).problems
    assert [problem.split(": ")[1].split()[0] for problem in problems] == [
        "fsync",
        "full_page_writes",
        "synchronous_commit",
    ]
    assert "set fsync = on" in problems[0]


async def test_missing_rights_and_read_only_sessions_are_named(database_dsn: str) -> None:
    connection = await asyncpg.connect(database_dsn, timeout=15)
    role = f"reader_{os.getpid()}"
    await connection.execute(f"create role {role} login")
    await connection.execute(f"alter role {role} set default_transaction_read_only = on")
    await connection.execute("create schema elsewhere")
    await connection.execute(f"grant usage on schema elsewhere to {role}")
    dsn = database_dsn.replace("tradesaga@", f"{role}@")
    try:
        report = await check_postgres(dsn, schema=SCHEMA)
        there = await check_postgres(dsn, schema="elsewhere")
    finally:
        await connection.execute("drop schema elsewhere")
        await connection.execute(f"drop role {role}")
        await connection.close()
    rights = f"user {role} may neither create nor use the schema {SCHEMA}"
    assert any(rights in problem for problem in report.problems)
    assert not any("neither create" in problem for problem in there.problems)
    assert any("read-only" in problem for problem in report.problems)


class Pooled:
    """A session that borrows its backend for each statement."""

    def __init__(self, backend: asyncpg.Connection[asyncpg.Record]) -> None:
        self.fetchrow = backend.fetchrow

    async def close(self, **_: object) -> None:
        """The backend stays."""


@pytest.mark.parametrize(
    ("backends", "search_path", "said"),
    [(1, "orchestration", "two sessions had one backend"), (2, "public", "forgets what a session")],
)
async def test_a_pooler_that_does_not_keep_sessions_is_refused(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, backends: int, search_path: str, said: str
) -> None:
    settings = {"search_path": search_path}
    behind = [
        await asyncpg.connect(database_dsn, timeout=15, server_settings=settings)
        for _ in range(backends)
    ]
    turns = itertools.cycle(behind)

    async def connect(*_: object, **__: object) -> Pooled:
        return Pooled(next(turns))

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg, "connect", connect)
        with pytest.raises(Refused, match=f"behind a pooler: .*{said}.*the server itself"):
            await check_postgres(database_dsn, schema=SCHEMA)
    for backend in behind:
        await backend.close()


async def test_a_pooler_that_refuses_our_sessions_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise asyncpg.ProtocolViolationError("unsupported startup parameter: search_path")

    monkeypatch.setattr(asyncpg, "connect", connect)
    with pytest.raises(Refused, match="behind a pooler: unsupported startup parameter"):
        await check_postgres("postgresql://user:secret@127.0.0.1:1/db", schema=SCHEMA)


async def test_a_refused_login_is_named_without_the_password(
    durable_postgres: EmbeddedPostgres,
) -> None:
    dsn = durable_postgres.tcp_dsn.replace("tradesaga@", "tradesaga:opensesame@")
    with pytest.raises(Refused, match="DB_PASSWORD") as refusal:
        await check_postgres(dsn, schema=SCHEMA)
    assert "opensesame" not in str(refusal.value)


@pytest.mark.parametrize("port", ["silent_port", "closed_port"])
async def test_an_unreachable_postgres_is_named_in_time(
    port: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_preflight, "SECONDS_MAX", 0.2)
    number = request.getfixturevalue(port)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{number}/db cannot be reached.*DB_HOST"):
        await check_postgres(
            f"postgresql://user:secret@127.0.0.1:{number}/db?sslmode=disable", schema=SCHEMA
        )


async def test_embedded_nats_has_no_problem(durable_nats: EmbeddedNats) -> None:
    report = await check_nats(durable_nats.url, durable_nats.token, durable_nats.monitor_url)
    assert (report.problems, report.unverified) == ((), ())


async def test_durability_that_cannot_be_read_is_not_taken_for_granted(
    nats_url: str, nats_token: str
) -> None:
    report = await check_nats(nats_url, nats_token)
    assert report.problems == ()
    assert "sync_interval" in report.unverified[0]


@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_wrong_token_is_named_and_not_shown(nats_url: str, token: str | None) -> None:
    with pytest.raises(Refused, match="token") as refusal:
        await check_nats(nats_url, token)
    assert "wrong" not in str(refusal.value)


@pytest.mark.parametrize("port", ["silent_port", "closed_port"])
async def test_an_unreachable_nats_is_named_in_time(
    port: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_preflight, "SECONDS_MAX", 0.2)
    number = request.getfixturevalue(port)
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{number} cannot be reached.*NATS_URL"):
        await check_nats(f"nats://127.0.0.1:{number}")


async def test_a_nats_server_with_its_own_defaults_has_two_problems(
    state_dir: Path, unused_ports: tuple[int, int]
) -> None:
    client, monitor = unused_ports
    binary = await find_nats(state_dir, None)
    argv = [str(binary.path), "-a", "127.0.0.1", "-p", str(client), "-m", str(monitor)]
    plain = Program("plain", argv, dict, state_dir / "plain.log", http_probe(monitor, "/healthz"))
    await plain.start()
    try:
        report = await check_nats(
            f"nats://127.0.0.1:{client}", monitor_url=f"http://127.0.0.1:{monitor}"
        )
    finally:
        await plain.stop()
    assert len(report.problems) == 2
    assert "JetStream is off" in report.problems[0]
    assert "sync_interval: always" in report.problems[1]
