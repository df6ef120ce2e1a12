"""What a killed supervisor, server or initdb leaves behind does not stop the next start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.embedded.conftest import SECONDS_MAX, Spawn, eventually, lives
from tradesaga.embedded.failures import Unusable
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.program import Program

_STATE = "select state from pg_stat_activity where pid = $1"


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, timeout=15, command_timeout=15)


async def test_servers_die_with_a_killed_supervisor_and_nothing_is_lost(
    spawn_supervisor: Spawn,
) -> None:
    first = await spawn_supervisor()
    await first.up()
    connection = await _connect(first.addresses["dsn"])
    await connection.execute("create table kept as select 42 as answer")
    first.process.kill()
    for pid in first.pids.values():
        await eventually(lambda pid=pid: not lives(pid), "end of the servers")  # type: ignore[misc]  # a default binds the loop's value
    connection.terminate()

    second = await spawn_supervisor()
    await second.up()
    for address in ("dsn", "nats", "token"):
        assert second.addresses[address] == first.addresses[address]
    connection = await _connect(second.addresses["dsn"])
    assert await connection.fetchval("select answer from kept") == 42
    await connection.close()


async def test_a_busy_backend_of_a_killed_postgres_is_ended(
    spawn_supervisor: Spawn, state_dir: Path
) -> None:
    first = await spawn_supervisor()
    await first.up()
    connection = await _connect(first.addresses["dsn"])
    orphan = connection.get_server_pid()
    # Deaf to the postmaster's death: it looks at no latch before the loop is done.
    busy = (
        "do $$ begin while clock_timestamp() < transaction_timestamp() + interval '30 s' "
        "loop end loop; end $$"
    )
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_until_lost(connection, busy))
        observer = await _connect(first.addresses["dsn"])
        async with asyncio.timeout(SECONDS_MAX):
            # Another process sets no Event.
            while await observer.fetchval(_STATE, orphan) != "active":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        observer.terminate()
        os.kill(first.process.pid, signal.SIGSTOP)  # else it would restart Postgres
        os.kill(first.pids["postgres"], signal.SIGKILL)
        first.process.kill()
        await eventually(lambda: not lives(first.pids["postgres"]), "end of the postmaster")
        assert lives(orphan)

        second = await spawn_supervisor()
        await second.up()
        assert not lives(orphan)
        await waiting
    connection = await _connect(second.addresses["dsn"])
    assert await connection.fetchval("select 1") == 1
    await connection.close()


async def _until_lost(connection: asyncpg.Connection, statement: str) -> None:
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await connection.execute(statement, timeout=60)
    connection.terminate()


async def test_a_lock_file_that_names_a_living_stranger_is_ignored(state_dir: Path) -> None:
    postgres = EmbeddedPostgres(state_dir)
    await postgres.start()
    await postgres.stop()
    # Of the server's own user and not its parent: Postgres would take it for a postmaster.
    owner = (state_dir / "pgdata").stat().st_uid
    user = owner if os.geteuid() == 0 else None
    stranger = await asyncio.create_subprocess_exec("sleep", "600", user=user)
    try:
        (state_dir / "pgdata" / "postmaster.pid").write_text(
            f"{stranger.pid}\n{state_dir}/pgdata\n1\n{postgres.port}\n{state_dir}/run\n\n\nready\n",
            encoding="utf-8",
        )
        socket_lock = state_dir / "run" / f".s.PGSQL.{postgres.port}.lock"
        socket_lock.write_text(f"{stranger.pid}\n", encoding="utf-8")
        await postgres.start()
        connection = await _connect(postgres.dsn)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        await postgres.stop()
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_killed_initdb_never_looks_initialised(
    spawn_supervisor: Spawn, state_dir: Path
) -> None:
    first = await spawn_supervisor()
    await eventually((state_dir / "pgdata.init" / "base").exists, "initdb at work")
    first.process.kill()
    assert not (state_dir / "pgdata").exists()
    second = await spawn_supervisor()
    await second.up()
    assert not (state_dir / "pgdata.init").exists()
    assert not (state_dir / "pgpass.init").exists()


async def test_a_data_directory_that_is_no_cluster_is_not_replaced(state_dir: Path) -> None:
    (state_dir / "pgdata").mkdir(mode=0o700)
    (state_dir / "pgdata" / "precious").touch()
    with pytest.raises(Unusable, match="no PG_VERSION"):
        await EmbeddedPostgres(state_dir).start()
    assert (state_dir / "pgdata" / "precious").exists()


async def test_another_major_version_is_refused(state_dir: Path) -> None:
    (state_dir / "pgdata").mkdir(mode=0o700)
    (state_dir / "pgdata" / "PG_VERSION").write_text("9\n", encoding="utf-8")
    with pytest.raises(Unusable, match="was made by Postgres 9"):
        await EmbeddedPostgres(state_dir).start()


async def test_a_store_of_a_newer_nats_is_refused(durable_nats: EmbeddedNats) -> None:
    await durable_nats.stop()
    (durable_nats.directory / "version").write_text("99.1.0\n", encoding="utf-8")
    with pytest.raises(Unusable, match=r"written by 99\.1\.0"):
        await durable_nats.start()


async def test_a_deaf_program_of_a_former_life_is_killed(state_dir: Path) -> None:
    code = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""

    def program(mark: Path) -> Program:
        async def ready() -> bool:
            return await asyncio.to_thread(mark.exists)

        return Program(
            "deaf",
            [sys.executable, "-c", code, str(mark)],
            lambda: dict(os.environ),
            state_dir / "deaf.log",
            ready,
            grace_seconds=0.1,
        )

    former, next_life = program(state_dir / "first"), program(state_dir / "second")
    await former.start()
    pid = former.child.pid
    former.child.fence.drop()  # as the end of its supervisor would
    await next_life.start()
    assert await former.child.exited() == -signal.SIGKILL
    assert next_life.child.pid != pid
    await next_life.stop()


async def test_a_port_taken_by_a_stranger_is_chosen_anew(state_dir: Path) -> None:
    for server in (EmbeddedPostgres(state_dir), EmbeddedNats(state_dir)):
        await server.start()
        port = server.port if isinstance(server, EmbeddedPostgres) else server.client_port
        await server.stop()
        with socket.create_server(("127.0.0.1", port)):
            fresh = type(server)(state_dir)
            await fresh.start()
            assert await fresh.alive()
            await fresh.stop()


async def test_clients_find_a_restarted_postgres_though_a_stranger_took_the_port(
    durable_postgres: EmbeddedPostgres,
) -> None:
    dsn = durable_postgres.dsn
    await durable_postgres.stop()
    with socket.create_server(("127.0.0.1", durable_postgres.port)):
        await durable_postgres.start()
        assert durable_postgres.dsn == dsn
        connection = await _connect(dsn)
        assert await connection.fetchval("show listen_addresses") == ""
        await connection.close()


async def test_psql_can_log_in_over_tcp_with_the_kept_password_alone(
    durable_postgres: EmbeddedPostgres,
) -> None:
    assert durable_postgres.pgpass.stat().st_mode & 0o777 == 0o600
    connection = await asyncpg.connect(
        durable_postgres.tcp_dsn, passfile=str(durable_postgres.pgpass), timeout=15
    )
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(durable_postgres.tcp_dsn, password="guess", timeout=15)
