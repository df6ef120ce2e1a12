"""Which servers are ours to run: those that neither environment nor configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradesaga.bootstrap.databases import OtherPostgres, plan
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
