"""Which servers are ours to run: those that neither environment nor configuration names."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from tradesaga.adapters.postgres.database import ensure_database
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.postgres.roles import APP
from tradesaga.bootstrap.databases import OtherPostgres, OwnPostgres, plan
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.embedded.postgres import EmbeddedPostgres

DATABASE = {"DB_HOST": "db.test", "DB_PORT": "5432"}
BUS = {"NATS_URL": "nats://bus.test:4222"}


@pytest.mark.parametrize(
    ("environment", "ours"),
    [
        ({}, (True, True)),
        (DATABASE, (False, True)),
        (BUS, (True, False)),
        ({**DATABASE, **BUS}, (False, False)),
        ({"ORCHESTRATOR__DATABASE__HOST": "db.test"}, (False, True)),
        ({"ORCHESTRATOR__EVENTBUS__URL": "nats://bus.test:1"}, (True, False)),
    ],
)
def test_what_is_named_is_used(environment: dict[str, str], ours: tuple[bool, bool]) -> None:
    found = plan(None, environment, {})
    assert (found.embeds_postgres, found.embeds_nats) == ours


def test_a_file_names_servers_too(tmp_path: Path) -> None:
    file = tmp_path / "o.yaml"
    file.write_text("orchestrator:\n  database:\n    host: db.test\n    port: 5432\n")
    found = plan(file, {}, {})
    assert (found.embeds_postgres, found.embeds_nats) == (False, True)


def test_half_of_an_address_is_a_mistake() -> None:
    with pytest.raises(Invalid, match="DB_PORT"):
        plan(None, {"DB_HOST": "db.test"}, {})


async def test_a_database_elsewhere_is_made_ready(durable_postgres: EmbeddedPostgres) -> None:
    environment = {
        **BUS,
        "DB_HOST": str(durable_postgres.socket_dir),
        "DB_PORT": str(durable_postgres.port),
    }
    other = OtherPostgres(plan(None, environment, {}).loaded.settings)
    await other.make_ready()  # neither database nor schema are there
    await other.make_ready()


async def test_the_embedded_service_works_with_less_than_the_owner(state_dir: Path) -> None:
    settings = plan(None, {}, {}).loaded.settings
    former = EmbeddedPostgres(state_dir)  # as a release without roles has left it
    await former.start()
    await ensure_database(former.dsn, settings.database.name)
    await migrate(former.dsn.replace("/postgres?", f"/{settings.database.name}?"), schema=SCHEMA)
    await former.stop()
    (state_dir / "database-made").write_text(settings.database.name)

    own = OwnPostgres(state_dir, settings)
    assert not own.foreseeable, "its roles must be there before the service comes"
    await own.start()
    try:
        login = (state_dir / "pgpass-reader").read_text()
        assert (state_dir / "pgpass-reader").stat().st_mode & 0o777 == 0o600
        variables = own.variables()
        assert variables["ORCHESTRATOR__DATABASE__USER"] == APP
        service = await asyncpg.connect(own.dsn().replace("tradesaga@", f"{APP}@"), timeout=15)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("drop table orchestration.orders")
        await service.close()
        _, port, _, user, password = login.strip().split(":")
        for secret, lets_in in ((password, True), ("guess", False)):
            try:
                reader = await asyncpg.connect(
                    host="127.0.0.1", port=int(port), user=user, password=secret,
                    database=settings.database.name, timeout=15,
                )  # fmt: skip
            except asyncpg.InvalidPasswordError:
                assert not lets_in
            else:
                assert lets_in
                assert await reader.fetchval("select count(*) from orchestration.orders") == 0
                await reader.close()
    finally:
        await own.stop()
    again = OwnPostgres(state_dir, settings)
    assert again.foreseeable
    await again.start()
    await again.stop()
    assert (state_dir / "pgpass-reader").read_text() == login


async def test_a_server_that_would_lose_commits_is_refused(state_dir: Path) -> None:
    careless = EmbeddedPostgres(state_dir, {"fsync": "off", "synchronous_commit": "off"})
    await careless.start()
    try:
        environment = {**BUS, "DB_HOST": str(careless.socket_dir), "DB_PORT": str(careless.port)}
        other = OtherPostgres(plan(None, environment, {}).loaded.settings)
        with pytest.raises(Invalid) as raised:
            await other.make_ready()
    finally:
        await careless.stop()
    assert [("fsync" in each, "synchronous_commit" in each) for each in raised.value.problems] == [
        (True, False),
        (False, True),
    ]


async def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    environment = {**BUS, "DB_HOST": str(tmp_path), "DB_PORT": "5432"}
    with pytest.raises(Unavailable, match="cannot be reached"):
        await OtherPostgres(plan(None, environment, {}).loaded.settings).make_ready()
