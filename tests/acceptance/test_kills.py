"""A recorded hour, the orchestrator killed at five moments: nothing lost, doubled or forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.running import Up, connect, rows, write_recording, write_strategies
from tradesaga.embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

MOMENTS = {
    "an intent is committed": "select count(*) from orders",
    "a fill is booked": "select count(*) from fills",
    "a decision is stored": "select count(*) from decisions",
    "a cycle has begun": "select count(*) from cycles where type = 'analysis'",
    "a saga has ended": "select count(*) from sagas where status like 'comp%'",
}
"""A kill follows at once when the figure has risen since the kill before."""

UNPUBLISHED = "published_at is null and type not like 'orchestrator.cycle.%'"


@pytest.fixture
def hour(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=60)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "150", "--exit-at-end",
    )  # fmt: skip
    yield up
    up.stop()


async def test_five_kills_of_the_orchestrator(hour: Up) -> None:
    await hour.until("select to_regclass('orders') is not null")
    for what, count in MOMENTS.items():
        before = await hour.ask(count)
        await hour.until(f"select ({count}) > $1", before)
        assert await hour.kill("serve"), what
    assert await hour.ended(100) == 0, hour.output
    await check_books(hour.state_dir)


async def test_kills_of_postgres_and_nats(hour: Up) -> None:
    await hour.until("select to_regclass('fills') is not null")
    await hour.until("select count(*) > 1 from fills")
    await hour.kill("postgres")
    completed = "select count(*) from cycles where status = 'completed'"
    before = await hour.ask(completed)
    await hour.until(f"select ({completed}) > $1", before + 3)
    await hour.kill("nats-server")
    before = await hour.ask("select count(*) from decisions")
    await hour.until("select count(*) > $1 from decisions", before + 3)
    assert await hour.ended_but_for_cycles(100), hour.output
    await check_books(hour.state_dir)


async def check_books(state_dir: Path) -> None:
    """Our books by SQL, and the venue's by its own store, both after everything has stopped.

    What a stop says of the cycles that it ends may be left to the next life, nothing else.
    """
    server = EmbeddedPostgres(state_dir)
    await server.start()
    try:
        connection = await connect(state_dir)
        intents = {r["client_order_id"]: r for r in await rows(connection, "select * from orders")}
        placed = venue_orders(state_dir / "paper" / "paper.sqlite3")
        assert len(intents) >= 5, "the hour must have traded"
        assert set(placed) <= set(intents), "an order that we never intended"
        missing = {key for key in intents if key not in placed}
        assert all(intents[key]["status"] in ("not_placed", "rejected") for key in missing)
        for key, filled in placed.items():
            assert intents[key]["filled_quantity"] == filled, key
        checks = {
            "open sagas": "select count(*) from sagas where status not like 'comp%'",
            "doubled sagas": """select count(*) from (select decision_id from sagas
                group by decision_id having count(*) > 1) d""",
            "unreleased reservations": "select count(*) from reservations where state = 'open'",
            "positions that are not the sum of fills": """select count(*) from positions p
                where quantity <> (select sum(case side when 'buy' then f.quantity
                  else -f.quantity end) from fills f where f.symbol = p.symbol)""",
            "unpublished events": f"select count(*) from outbox where {UNPUBLISHED}",
            "fills without a trade": """select count(*) from fills f left join trades t
                on t.fill_id = f.id where t.id is null""",
            "unfinished cycles": "select count(*) from cycles where status = 'started'",
        }
        found = {what: await connection.fetchval(query) for what, query in checks.items()}
        await connection.close()
        assert found == dict.fromkeys(checks, 0)
    finally:
        await server.stop()


def venue_orders(store: Path) -> dict[str, Decimal]:
    """Client order id to filled quantity, as the venue kept them; doubles would show."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("select body from orders")]
    connection.close()
    clients = [body["ticket"]["client_order_id"] for body in bodies]
    assert len(set(clients)) == len(clients), "one order per client order id"
    return {body["ticket"]["client_order_id"]: Decimal(str(body["filled"])) for body in bodies}
