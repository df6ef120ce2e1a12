"""The register of nodes on Postgres: who lives, under what, and what each leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from tests.adapters.postgres.values import AGENT
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.nodes import PostgresNodes, leading
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Unavailable
from tradesaga.engine.fleet import Fleet

WHO = Identity(release="1", code="c", configuration="d")
LONG, NOTHING = timedelta(minutes=1), timedelta(0)


class Registers:
    """Nodes on one database."""

    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self.dsn, self.stack = dsn, stack

    def of(
        self, name: str, *, identity: Identity = WHO, fresh: timedelta = LONG, dead: str = ""
    ) -> PostgresNodes:
        made = PostgresNodes(
            self.dsn,
            url=f"http://{name}",
            identity=identity,
            own_id=name,
            fresh=fresh,
            is_dead=lambda holder: holder == dead,
            schema=SCHEMA,
        )
        self.stack.push_async_callback(made.close)
        return made

    async def lead(self, name: str) -> None:
        lease = PostgresLease(
            self.dsn, SystemClock(), time_to_live=LONG, holder=name, schema=SCHEMA
        )
        self.stack.push_async_callback(lease.close)
        assert await lease.take(AGENT) is not None


@pytest.fixture
async def registers(database_dsn: str) -> AsyncIterator[Registers]:
    async with AsyncExitStack() as stack:
        yield Registers(database_dsn, stack)


async def test_nodes_see_each_other_and_what_each_leads(registers: Registers) -> None:
    a, b = registers.of("a"), registers.of("b")
    [alone] = await a.announce()
    assert (alone.id, alone.url, alone.identity, alone.leads) == ("a", "http://a", WHO, ())
    await registers.lead("b")
    assert [(n.id, n.leads) for n in await b.announce()] == [("a", ()), ("b", (AGENT,))]
    a.url = "http://moved"
    assert [n.url for n in await a.announce()] == ["http://moved", "http://b"]
    await a.leave()
    assert [n.id for n in await b.announce()] == ["b"]


async def test_who_has_not_been_seen_for_long_does_not_count(registers: Registers) -> None:
    await registers.of("a").announce()
    assert await registers.of("b", fresh=NOTHING).announce() == ()


async def test_the_dead_do_not_count_before_their_time(registers: Registers) -> None:
    await registers.of("a").announce()
    assert [n.id for n in await registers.of("b", dead="a").announce()] == ["b"]


async def test_a_node_may_not_lead_unannounced_or_beside_another_build(
    registers: Registers,
) -> None:
    old, new = Identity(code="old"), Identity(code="new")
    first = Fleet(registers.of("a", identity=old), old)
    second = Fleet(registers.of("b", identity=new), new)
    assert "not been announced" in first.hindrance()
    await first.look()
    await second.look()
    assert first.hindrance() == ""
    assert "code of this node" in second.hindrance()
    await registers.of("a").leave()
    await second.look()
    assert second.hindrance() == ""


async def test_where_to_pass_a_request_on_to(registers: Registers) -> None:
    a, b = (Fleet(registers.of(name), WHO) for name in "ab")
    await a.look()
    assert a.elsewhere(AGENT) == "", "nobody leads"
    await registers.lead("b")
    await b.look()
    await a.look()
    assert (a.elsewhere(AGENT), b.elsewhere(AGENT)) == ("http://b", "")


async def test_the_leader_for_people(registers: Registers) -> None:
    pool = ReaderPool(registers.dsn, schema=SCHEMA)
    registers.stack.push_async_callback(pool.close)
    assert await leading(pool, AGENT) is None
    await registers.of("a").announce()
    await registers.lead("a")
    found = await leading(pool, AGENT)
    assert found is not None
    assert (found.url, found.epoch) == ("http://a", 1)


async def test_without_the_database_what_was_known_stays(registers: Registers) -> None:
    away = PostgresNodes("postgresql://127.0.0.1:1/x", identity=WHO, own_id="a", schema=SCHEMA)
    with pytest.raises(Unavailable, match="the nodes"):
        await away.announce()
    await Fleet(away, WHO).look()
