"""The whole in a schema of another name (`database.schema`), and nothing of it in the usual one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import Up, write_recording, write_strategies
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.bootstrap.verifying import VerifyOptions, verify

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

ELSEWHERE = "elsewhere"
VARIABLES = {"ORCHESTRATOR__DATABASE__SCHEMA": ELSEWHERE}
FILLED = "select count(*) > 0 from orders where status = 'filled'"
HAS_TABLES = """
    select array_agg(distinct n.nspname::text) from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)'
"""


@pytest.fixture
def moved(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=390)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "150",
        variables=VARIABLES, schema=ELSEWHERE,
    )  # fmt: skip
    yield up
    up.stop()


async def test_it_trades_in_a_schema_of_another_name(moved: Up) -> None:
    await moved.until("select to_regclass('orders') is not null")
    await moved.until(FILLED, seconds=120)
    [found] = await verify(VerifyOptions(state_dir=moved.state_dir), VARIABLES)
    assert [one.name for one in found.broken] == []
    assert not found.unreachable
    assert await moved.ask(f"select to_regnamespace('{SCHEMA}') is null")
    assert sorted(await moved.ask(HAS_TABLES)) == [ELSEWHERE, "public"], "public has the book alone"
