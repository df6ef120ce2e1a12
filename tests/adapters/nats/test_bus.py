"""The bus on a real server: what the port promises."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
from nats.js import api

from tests.adapters.nats.conftest import (
    World,
    connected,
    make_bus,
    nested,
    remove_streams,
    row,
    running,
    until,
    until_lost,
)
from tradesaga.adapters.nats.bus import WAITING_MAX
from tradesaga.adapters.nats.pull import BATCH
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import OrderReported, Unhandled

FILLED = {
    "orderId": "ord_1",
    "symbol": "SPY",
    "side": "buy",
    "quantity": 3,
    "filledQuantity": 3,
    "averagePrice": 370.25,
    "commission": 0,
    "filledAt": "2025-03-03T15:00:00.000Z",
}


async def test_publish_is_stored_in_the_platforms_form(world: World) -> None:
    published = await world.bus.publish(row("e-1", cycleId="c"))

    stream = f"{world.prefix}_ORCHESTRATOR".upper()
    stored = await world.client.jetstream().get_msg(stream, published.stream_sequence)
    assert stored.subject == f"{world.prefix}.orchestrator.cycle.started"
    assert stored.headers == {"Nats-Msg-Id": "e-1"}
    assert stored.data is not None
    assert msgspec.json.decode(stored.data) == {
        "metadata": {
            "eventId": "e-1",
            "eventType": "orchestrator.cycle.started",
            "timestamp": "2025-03-03T15:00:00Z",
            "version": "1.0",
            "source": "orchestrator",
            "correlationId": "c-1",
        },
        "payload": {"cycleId": "c"},
    }


async def test_a_second_publish_of_one_event_is_stored_once(world: World) -> None:
    first = await world.bus.publish(row("e-1"))
    again = await world.bus.publish(row("e-1"))

    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.stream_sequence == first.stream_sequence


async def test_publishes_can_overlap(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(world.bus.publish(row(f"e-{n}"))) for n in range(100)]
    assert len({task.result().stream_sequence for task in tasks}) == 100


async def test_every_subscription_delivers(world: World) -> None:
    await world.publish("trade.order.filled", nested("trade.order.filled", "e1", **FILLED))
    await world.publish("ai.decision.validated", nested("ai.decision.validated", "e2"))
    await world.publish("market.session.opened", nested("market.session.opened", "e3"))
    health = {"service": "x", "status": "healthy"}
    await world.publish("system.heartbeat", nested("system.heartbeat", "e4", **health))
    await world.publish("system.heartbeat.x", nested("system.heartbeat", "e5", **health))
    error = {"service": "x", "severity": "error", "message": "m"}
    await world.publish("system.error.occurred", nested("system.error.occurred", "e6", **error))

    taken = await world.take(6)
    incoming = {d.incoming.event_id: d.incoming for d in taken if d.incoming is not None}
    assert set(incoming) == {"e1", "e2", "e3", "e4", "e5", "e6"}
    assert isinstance(incoming["e1"].content, OrderReported)
    assert incoming["e2"].content == Unhandled(type="ai.decision.validated")


async def test_order_is_kept_over_many_requests(world: World) -> None:
    ids = [f"e-{n}" for n in range(300)]  # more than four pull requests of 64
    js = world.client.jetstream()
    for event_id in ids:
        await js.publish(
            f"{world.prefix}.trade.order.filled",
            nested("trade.order.filled", event_id, **FILLED),
        )
    taken = await world.take(300)
    assert [d.incoming.event_id for d in taken if d.incoming] == ids


async def test_while_nobody_takes_them_messages_stay_on_the_server(world: World) -> None:
    ids = [f"e-{n}" for n in range(WAITING_MAX + 3 * BATCH)]
    for event_id in ids:
        body = nested("trade.order.filled", event_id, **FILLED)
        await world.client.publish(f"{world.prefix}.trade.order.filled", body)

    async def out_and_left() -> tuple[int, int]:
        found = await world.client.jetstream().consumers_info(f"{world.prefix}_TRADE".upper())
        return sum(c.num_ack_pending or 0 for c in found), sum(c.num_pending or 0 for c in found)

    async def full() -> bool:
        return (await out_and_left())[0] > WAITING_MAX

    await until(full)
    out, left = await out_and_left()
    assert out <= WAITING_MAX + BATCH + 1, "what waits here, one on its way there, one request"
    assert left >= len(ids) - (WAITING_MAX + BATCH + 1)
    taken = await world.take(len(ids))
    assert [d.incoming.event_id for d in taken if d.incoming] == ids


async def test_what_is_acknowledged_does_not_come_back(world: World) -> None:
    await world.publish("trade.order.filled", nested("trade.order.filled", "e-1", **FILLED))
    await world.take()
    await until_all_answered(world)


async def test_what_is_put_back_comes_again(world: World) -> None:
    await world.publish("trade.order.filled", nested("trade.order.filled", "e-1", **FILLED))
    [first] = await world.take(acknowledge=False)
    await first.retry_later()
    [again] = await world.take(acknowledge=False)

    assert first.incoming is not None
    assert again.incoming is not None
    assert again.incoming.event_id == first.incoming.event_id == "e-1"
    await again.acknowledge()
    await until_all_answered(world)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"no json", "malformed"),
        (b'{"payload": {}}', "eventId"),
        (b'{"metadata": {"eventType": "trade.order.filled"}, "payload": {}}', "eventId"),
        (nested("trade.order.filled").replace(b'"payload":{}', b'"payload":null'), "null"),
        (nested("trade.order.filled", orderId="ord_1"), "symbol"),
        (nested("x", text="y" * 300_000), "bytes"),
    ],
)
async def test_poison_is_handed_over_with_its_problem(
    world: World, body: bytes, problem: str
) -> None:
    await world.publish("trade.order.filled", body)
    [delivery] = await world.take(acknowledge=False)

    assert delivery.incoming is None
    assert problem in delivery.problem
    assert delivery.body == body
    assert delivery.subject == f"{world.prefix}.trade.order.filled"
    await delivery.discard()
    await until_all_answered(world)


async def test_a_new_bus_goes_on_where_the_old_one_stopped(
    nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    async with connected(nats_url, nats_token) as client:
        async with running(make_bus(nats_url, nats_token, subject_prefix)):
            pass
        # What the server gave to the old one as it left would come again after ACK_WAIT only.
        stream = f"{subject_prefix}_AI".upper()
        while any(one.num_waiting for one in await client.jetstream().consumers_info(stream)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        subject = f"{subject_prefix}.ai.decision.generated"
        await client.jetstream().publish(subject, nested("ai.decision.validated", "while-away"))
        bus = make_bus(nats_url, nats_token, subject_prefix)
        async with running(bus):
            [delivery] = await World(bus, client, subject_prefix).take()
            assert delivery.incoming is not None
            assert delivery.incoming.event_id == "while-away"
        await remove_streams(client, subject_prefix)


async def test_streams_are_made_in_the_agreed_terms(world: World) -> None:
    info = await world.client.jetstream().stream_info(f"{world.prefix}_SYSTEM".upper())
    config = info.config
    assert config.subjects == [f"{world.prefix}.system.>"]
    assert config.retention == api.RetentionPolicy.LIMITS
    assert config.storage == api.StorageType.FILE
    assert config.discard == api.DiscardPolicy.OLD
    assert config.max_age == timedelta(days=7).total_seconds()
    assert config.max_msgs == 100_000
    assert config.duplicate_window == timedelta(minutes=2).total_seconds()
    assert config.num_replicas == 1


async def test_a_stream_that_exists_is_taken_as_it_is(
    nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    name = f"{subject_prefix}_TRADE".upper()
    async with connected(nats_url, nats_token) as client:
        js = client.jetstream()
        await js.add_stream(name=name, subjects=[f"{subject_prefix}.trade.>"], max_msgs=7)
        async with running(make_bus(nats_url, nats_token, subject_prefix)):
            assert (await js.stream_info(name)).config.max_msgs == 7
        await remove_streams(client, subject_prefix)


async def test_a_durable_in_other_terms_is_brought_to_ours(
    world: World, nats_url: str, nats_token: str
) -> None:
    found = await _consumer(world)
    assert found.config.max_deliver == -1
    assert found.config.ack_policy == api.AckPolicy.EXPLICIT
    js = world.client.jetstream()
    await js.add_consumer(found.stream_name, found.config.evolve(max_deliver=3, ack_wait=5))

    async with running(make_bus(nats_url, nats_token, world.prefix)):
        pass
    changed = (await _consumer(world)).config
    assert (changed.max_deliver, changed.ack_wait) == (-1, 30)


async def test_without_a_server_publish_says_unavailable(subject_prefix: str) -> None:
    bus = make_bus(
        "nats://127.0.0.1:1", "", subject_prefix, publish_time_max=timedelta(milliseconds=50)
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.run())
        with pytest.raises(Unavailable, match="e-1"):
            await bus.publish(row("e-1"))
        assert not bus.is_connected()
        assert not task.done()
        task.cancel()


async def test_a_wrong_token_does_not_end_the_loop(nats_url: str, subject_prefix: str) -> None:
    bus = make_bus(nats_url, "wrong", subject_prefix, publish_time_max=timedelta(milliseconds=200))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.run())
        with pytest.raises(Unavailable):
            await bus.publish(row("e-1"))
        assert not task.done()
        task.cancel()


async def test_a_consumer_that_is_deleted_is_made_again(world: World) -> None:
    found = await _consumer(world)
    await world.client.jetstream().delete_consumer(found.stream_name, found.name)

    await until_lost(world.bus)
    async with asyncio.timeout(10):
        await world.bus.until_connected()
    await world.publish("trade.order.filled", nested("trade.order.filled", "e-1", **FILLED))
    [delivery] = await world.take()
    assert delivery.incoming is not None


async def test_one_subscription_over_all_streams(
    nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    everything = [f"{subject_prefix}.>", f"{subject_prefix}.trade.order.*"]
    bus = make_bus(nats_url, nats_token, subject_prefix, subscriptions=everything)
    async with connected(nats_url, nats_token) as client:
        async with running(bus):
            world = World(bus, client, subject_prefix)
            await world.publish("trade.order.filled", nested("x.y", "e1"))
            await world.publish("ai.decision.generated", nested("x.y", "e2"))
            taken = [delivery.incoming for delivery in await world.take(2)]
            assert {one.event_id for one in taken if one is not None} == {"e1", "e2"}
        await remove_streams(client, subject_prefix)


async def test_our_own_stream_is_made_again(world: World) -> None:
    await world.client.jetstream().delete_stream(f"{world.prefix}_ORCHESTRATOR".upper())
    with pytest.raises(Unavailable):
        await world.bus.publish(row("e-1"))
    await world.bus.publish(row("e-1"))  # waits until it is there


async def until_all_answered(world: World) -> None:
    """Wait until the server holds nothing back for any of our consumers."""
    js = world.client.jetstream()

    async def answered() -> bool:
        found = []
        for domain in ("trade", "ai", "market", "system"):
            found += await js.consumers_info(f"{world.prefix}_{domain}".upper())
        return not any(one.num_ack_pending or one.num_pending for one in found)

    await until(answered)


async def _consumer(world: World) -> api.ConsumerInfo:
    stream = f"{world.prefix}_TRADE".upper()
    [found] = await world.client.jetstream().consumers_info(stream)
    return found
