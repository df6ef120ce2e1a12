"""The bus when its server dies: nothing is lost, nobody has to help it back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

from tests.adapters.nats.conftest import (
    World,
    connected,
    make_bus,
    nested,
    row,
    running,
    until,
    until_lost,
)
from tradesaga.domain.errors import Unavailable
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.ports.bus import Published

HEALTH = {"service": "x", "status": "healthy"}


async def test_kill_and_restart(durable_nats: EmbeddedNats) -> None:
    bus = make_bus(
        durable_nats.url, durable_nats.token, "t", publish_time_max=timedelta(seconds=10)
    )
    async with running(bus):
        async with connected(durable_nats.url, durable_nats.token) as client:
            world = World(bus, client, "t")
            await world.publish("system.heartbeat", nested("system.heartbeat", "before", **HEALTH))
            [unanswered] = await world.take(acknowledge=False)
        await bus.publish(row("out-1"))

        await _kill(durable_nats)
        await until_lost(bus)
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(bus.publish(row("out-2")))  # waits for the server
            await durable_nats.start()
        assert not publishing.result().duplicate
        await unanswered.acknowledge()  # over the new connection

        again = await bus.publish(row("out-1"))
        assert again.duplicate  # what was acknowledged before the kill is still there
        async with connected(durable_nats.url, durable_nats.token) as client:
            world = World(bus, client, "t")
            await world.publish("system.heartbeat", nested("system.heartbeat", "after", **HEALTH))
            heard = [await _next_id(world)]
            while heard[-1] != "after":  # the killed server may have forgotten who heard what
                heard.append(await _next_id(world))
            assert set(heard) <= {"before", "after"}

            async def answered() -> bool:  # the late answer counts too
                found = await client.jetstream().consumers_info("T_SYSTEM")
                return not any(consumer.num_ack_pending for consumer in found)

            await until(answered)


async def test_publish_during_an_outage_is_unavailable_in_time(durable_nats: EmbeddedNats) -> None:
    bus = make_bus(
        durable_nats.url, durable_nats.token, "t", publish_time_max=timedelta(milliseconds=100)
    )
    async with running(bus):
        await _kill(durable_nats)
        refused = 0
        for number in range(3):
            try:
                await bus.publish(row(f"e-{number}"))
            except Unavailable:
                refused += 1
        assert refused == 3
        await durable_nats.start()

        async def published() -> bool:  # again and again, as the outbox relay does
            try:
                await bus.publish(row("e-0"))
            except Unavailable:
                return False
            return True

        await until(published)


async def test_a_publish_on_its_way_does_not_wait_for_a_dead_server(
    durable_nats: EmbeddedNats,
) -> None:
    bus = make_bus(durable_nats.url, durable_nats.token, "t", publish_time_max=timedelta(minutes=1))
    async with running(bus):
        assert durable_nats.child.process is not None
        pid = durable_nats.child.process.pid
        durable_nats.child.process.send_signal(signal.SIGSTOP)  # it takes, and answers nothing
        async with asyncio.timeout(5):
            while not _all_stopped(pid):  # noqa: ASYNC110 -- no event tells; each thread by itself
                await asyncio.sleep(0.005)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            publishing = group.create_task(_refused(bus.publish(row("e-1"))))
            await asyncio.sleep(0.05)  # long enough for the request to leave; too short is harmless
            await _kill(durable_nats)
        assert publishing.result()
        await durable_nats.start()


def _all_stopped(pid: int) -> bool:
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


async def test_an_emptied_store_is_set_up_again(durable_nats: EmbeddedNats) -> None:
    bus = make_bus(durable_nats.url, durable_nats.token, "t")
    async with running(bus), connected(durable_nats.url, durable_nats.token) as client:
        js = client.jetstream()
        for domain in ("MARKET", "TRADE", "AI", "ANALYTICS", "ORCHESTRATOR", "SYSTEM"):
            await js.delete_stream(f"T_{domain}")
        await until_lost(bus)
        async with asyncio.timeout(10):
            await bus.until_connected()
        await bus.publish(row("e-1"))
        world = World(bus, client, "t")
        await world.publish("system.heartbeat", nested("system.heartbeat", "e-2", **HEALTH))
        await world.take()


async def test_a_message_on_its_way_to_a_killed_bus_comes_to_the_next(
    durable_nats: EmbeddedNats,
) -> None:
    async with connected(durable_nats.url, durable_nats.token) as client:
        first = make_bus(durable_nats.url, durable_nats.token, "t")
        async with running(first):
            world = World(first, client, "t")
            await world.publish("system.heartbeat", nested("system.heartbeat", "e-1", **HEALTH))
            [delivery] = await world.take(acknowledge=False)
            await delivery.retry_later()  # as the server does by itself after its ack wait
        second = make_bus(durable_nats.url, durable_nats.token, "t")
        async with running(second):
            [again] = await World(second, client, "t").take()
        assert again.incoming == delivery.incoming


async def _refused(publishing: Awaitable[Published]) -> bool:
    try:
        await publishing
    except Unavailable:
        return True
    return False


async def _next_id(world: World) -> str:
    [delivery] = await world.take()
    assert delivery.incoming is not None
    return delivery.incoming.event_id


async def _kill(nats: EmbeddedNats) -> None:
    nats.child.kill()
    await nats.child.exited()
