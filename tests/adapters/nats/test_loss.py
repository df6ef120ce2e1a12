"""A server that comes back without its latest messages, and what a stream must not be."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from nats.js import api

from tests.adapters.nats.conftest import World, connected, make_bus, row, running, until, until_lost
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.nats.provisioning import StreamLimits, losing
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, derived
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.ports.stream import Told

GOOD = api.StreamConfig(
    name="X",
    storage=api.StorageType.FILE,
    retention=api.RetentionPolicy.LIMITS,
    discard=api.DiscardPolicy.OLD,
    duplicate_window=120.0,
)


async def test_a_lost_tail_shows_in_the_end_of_the_stream(
    durable_nats: EmbeddedNats, state_dir: Path
) -> None:
    bus = make_bus(
        durable_nats.url, durable_nats.token, "t", publish_time_max=timedelta(seconds=10)
    )
    async with running(bus):
        for number in range(3):
            await bus.publish(row(f"e-{number}"))
        before, first = await bus.stream_end(), bus.connection()
        copy = state_dir / "copy"
        await durable_nats.stop()
        await until_lost(bus)
        store = _store_below(state_dir)
        shutil.copytree(store, copy)
        await durable_nats.start()
        for number in range(3, 5):
            await bus.publish(row(f"e-{number}"))
        assert (await bus.stream_end()).last_sequence == before.last_sequence + 2
        assert bus.connection() == first + 1

        await durable_nats.stop()  # as if the power had gone before the disk had the last two
        await until_lost(bus)
        assert bus.connection() == 0
        _put_back(copy, store)
        await durable_nats.start()
        assert await bus.stream_end() == before

        async with connected(durable_nats.url, durable_nats.token) as client:
            await client.jetstream().delete_stream("T_ORCHESTRATOR")
        await until(lambda: _taken(bus))  # the bus makes the stream again
        after = await bus.stream_end()
        assert (after.created > before.created, after.last_sequence) == (True, 1)


def _store_below(directory: Path) -> Path:
    [store] = directory.rglob("jetstream")
    return store


def _put_back(copy: Path, store: Path) -> None:
    owner = store.stat()  # the server may run as another user
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    for path in (store, *store.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


async def _taken(bus: NatsBus) -> bool:
    try:
        await bus.publish(row("e-9"))
    except Unavailable:
        return False
    return True


async def test_the_last_event_of_ours_tells_its_row(world: World) -> None:
    assert await world.bus.last_of_ours() is None
    one, two = (
        replace(row(str(derived("e", n))), agent_id=DEFAULT_AGENT, sequence=n) for n in (6, 7)
    )
    await world.bus.publish(one)
    await world.bus.publish(two)
    await world.bus.publish(one)  # a repeat is no later one
    assert await world.bus.last_of_ours() == Told(
        agent_id=DEFAULT_AGENT, sequence=7, event_id=two.event_id
    )
    await world.client.jetstream().publish(
        f"{world.prefix}.orchestrator.x", b"{}", headers={"Tradesaga-Row": "nobody 1"}
    )
    assert await world.bus.last_of_ours() is None, "what tells nothing is no proof"


async def test_an_id_with_another_body_is_an_error_and_no_silent_loss(world: World) -> None:
    await world.bus.publish(row("e-1", cycleId="c-1"))
    with pytest.raises(Unavailable, match="another body"):
        await world.bus.publish(row("e-1", cycleId="c-2"))
    assert (await world.bus.publish(row("e-1", cycleId="c-1"))).duplicate


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, ""),
        ({"storage": api.StorageType.MEMORY}, "storage is memory"),
        ({"persist_mode": "async"}, "persist_mode is async"),
        ({"retention": api.RetentionPolicy.WORK_QUEUE}, "retention is"),
        ({"discard": api.DiscardPolicy.NEW}, "discard is new"),
        ({"no_ack": True}, "no_ack is set"),
        ({"max_msg_size": 1024}, "max_msg_size is 1024"),
        ({"max_msg_size": 32 * 1024}, ""),
        ({"duplicate_window": 10.0}, "duplicate_window is 10 s"),
        ({"duplicate_window": 60.0}, ""),
    ],
)
def test_a_stream_that_would_lose_events_is_named(change: dict[str, object], named: str) -> None:
    found = list(losing(replace(GOOD, **change), StreamLimits()))  # type: ignore[arg-type]
    assert [one[: len(named)] for one in found] == ([named] if named else [])
