"""On a real server each user reaches its own subjects, and nobody another's."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import nats.errors
import pytest
from nats.aio.client import Client

from tradesaga.adapters.nats import console
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.nats.parking import ConsumerParking
from tradesaga.adapters.system import SystemClock
from tradesaga.bootstrap.bus_users import OPERATOR, ORCHESTRATOR, users_of
from tradesaga.bootstrap.databases import OwnNats, plan
from tradesaga.bootstrap.translation import subject_prefix
from tradesaga.domain.errors import Refused
from tradesaga.embedded.nats import EmbeddedNats, read_logins
from tradesaga.paper.bus import Bus, BusAddress
from tradesaga.paper.personality import AI_DECISION, MARKET_DATA, TRADING_ENGINE
from tradesaga.paper.platform.engine import DECIDED, DECIDED_DURABLE
from tradesaga.paper.spec.neighbours import ANALYSIS_DURABLE, ANALYSIS_REQUESTED
from tradesaga.paper.store import Outgoing

SETTINGS = plan(None, {}, {}).loaded.settings
SERVICES = TRADING_ENGINE, AI_DECISION, MARKET_DATA
NOBODYS = "nobody.may"
STREAMS = "AI_TRADER_AI", "AI_TRADER_ORCHESTRATOR", "AI_TRADER_TRADE"


class Denied:
    """One user's connection and what the server has refused to it."""

    def __init__(self) -> None:
        self.client = Client()
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def on_error(self, error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            self.said.put_nowait(str(error))

    async def is_denied(self, publish: str = "", subscribe: str = "") -> bool:
        """Whether the server refuses it: what it says first is about this, or about the next."""
        subject = publish or subscribe
        if publish:
            await self.client.publish(publish, b"{}")
        else:
            await self.client.subscribe(subscribe)
        await self.client.publish(NOBODYS, b"")
        async with asyncio.timeout(5):
            said = await self.said.get()
            if f'"{subject.lower()}"' not in said.lower():
                assert NOBODYS in said.lower()
                return False
            assert NOBODYS in (await self.said.get()).lower()
        return True


@pytest.fixture
async def server(state_dir: Path) -> AsyncIterator[EmbeddedNats]:
    server = EmbeddedNats(state_dir, users_of(SETTINGS))
    await server.start()
    yield server
    await server.stop()


async def connect(server: EmbeddedNats, user: str) -> Denied:
    one = Denied()
    await one.client.connect(
        server.url, user=user, password=server.password(user), inbox_prefix=f"_INBOX_{user}",
        error_cb=one.on_error,
    )  # fmt: skip
    return one


def orchestrators_bus(server: EmbeddedNats, durable_prefix: str = "tradesaga") -> NatsBus:
    bus = SETTINGS.event_bus
    return NatsBus(
        durable_prefix=durable_prefix, idle_max=timedelta(minutes=1),
        url=server.url, user=ORCHESTRATOR, token=server.password(ORCHESTRATOR),
        clock=SystemClock(), publish_prefix=bus.publish_prefix, subscriptions=bus.subscriptions,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def everybody(server: EmbeddedNats) -> AsyncIterator[tuple[NatsBus, Bus]]:
    """Orchestrator and neighbours at work."""
    ours = orchestrators_bus(server)
    logins = {name: server.password(name) for name in SERVICES}
    theirs = Bus(BusAddress(url=server.url, logins=logins), name="paper")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ours.run())
        await theirs.open()
        async with asyncio.timeout(10):
            await ours.until_connected()
        try:
            yield ours, theirs
        finally:
            running.cancel()
            await theirs.close()


async def test_a_person_is_told_what_he_may_not(
    server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console.connected(server.url, server.password(OPERATOR), OPERATOR) as bus:
        with pytest.raises(Refused, match=r"subscription to .*other\.>"):
            await anext(bus.tail(["other.>"]))
    console_of = console.connected(server.url, server.password(AI_DECISION), AI_DECISION)
    async with console_of as bus:
        monkeypatch.setattr(console, "SECONDS_MAX", 1.0)
        with pytest.raises(Refused, match=r"publish to .*trade\.order\.filled"):
            await bus.publish("ai-trader.trade.order.filled", b"{}", {})


async def test_a_refusal_that_comes_late_ends_the_tail_as_well(
    server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answered_at_once(_client: Client, _seconds: int) -> None: ...

    monkeypatch.setattr(Client, "flush", answered_at_once)
    async with console.connected(server.url, server.password(OPERATOR), OPERATOR) as bus:
        with pytest.raises(Refused, match=r"subscription to .*other\.>"):
            await anext(bus.tail(["other.>"]))


async def test_each_does_its_own_work(server: EmbeddedNats) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_event(body: bytes) -> None:
        heard.put_nowait(body)

    async with everybody(server) as (ours, theirs), asyncio.timeout(15):
        await theirs.listen("orchestrator.>", on_event)
        kinds = {
            AI_DECISION: DECIDED,
            TRADING_ENGINE: "trade.order.filled",
            MARKET_DATA: "market.session.changed",
        }
        for service, kind in kinds.items():
            for event_type in (kind, "system.heartbeat"):
                event = Outgoing(
                    event_id=f"{service}-{event_type}", event_type=event_type, source=service,
                    symbol=None, body=json.dumps({"type": event_type}).encode(),
                )  # fmt: skip
                await theirs.send(event, event.event_id)
        subjects = set()
        async for delivery in ours.deliveries():
            subjects.add(delivery.subject)
            await delivery.acknowledge()
            if len(subjects) == 4:
                break
        assert subjects == {f"ai-trader.{one}" for one in (*kinds.values(), "system.heartbeat")}

        link = await ours._open_link()
        await link.jetstream.publish("ai-trader.orchestrator.analysis.requested", b"{}")
        assert await heard.get() == b"{}"
        async for message in theirs.requests(ANALYSIS_REQUESTED, ANALYSIS_DURABLE):
            await theirs.settle(message, readable=True)
            break
        async for _ in theirs.requests(DECIDED, DECIDED_DURABLE):
            break
        assert (await ours.stream_end()).last_sequence == 1
        held = await link.jetstream.get_msg("AI_TRADER_ORCHESTRATOR", 1)
        assert held.data == b"{}"


DENIED = [
    (user, subject)
    for user in (ORCHESTRATOR, *SERVICES)
    for subject in (
        *(f"ai-trader.{domain}.x" for domain in ("ai", "trade", "market", "orchestrator")),
        *(f"$JS.API.STREAM.{verb}.{name}" for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE")
          for name in STREAMS),
        "$JS.API.CONSUMER.DELETE.AI_TRADER_AI.tradesaga_ai-trader_ai_decision_ANY",
        "$JS.API.CONSUMER.CREATE.AI_TRADER_AI",
        "$JS.API.CONSUMER.DURABLE.CREATE.AI_TRADER_AI.mine",
        "$SYS.REQ.SERVER.PING",
        f"_INBOX_{OPERATOR}.x",
    )
]  # fmt: skip
OWN = {
    ORCHESTRATOR: "ai-trader.orchestrator.x",
    TRADING_ENGINE: "ai-trader.trade.x",
    AI_DECISION: "ai-trader.ai.x",
    MARKET_DATA: "ai-trader.market.x",
}


async def test_each_node_hears_all_by_consumers_of_its_own(server: EmbeddedNats) -> None:
    event = Outgoing(
        event_id="e", event_type=DECIDED, source=AI_DECISION, symbol=None,
        body=json.dumps({"type": DECIDED}).encode(),
    )  # fmt: skip
    async with everybody(server) as (_, theirs), asyncio.TaskGroup() as group:
        nodes = [orchestrators_bus(server, f"tradesaga-{name}") for name in ("a1", "b2")]
        running = [group.create_task(node.run()) for node in nodes]
        async with asyncio.timeout(15):
            for node in nodes:
                await node.until_connected()
            await theirs.send(event, event.event_id)
            for node in nodes:
                assert (await anext(node.deliveries())).subject.endswith(DECIDED)
        for task in running:
            task.cancel()


async def test_nobody_speaks_or_listens_for_another(server: EmbeddedNats) -> None:
    for user in (ORCHESTRATOR, *SERVICES):
        one = await connect(server, user)
        for who, subject in DENIED:
            if who == user:
                expected = subject != OWN[user]
                assert await one.is_denied(publish=subject) == expected, (user, subject)
        for subject in (">", "_INBOX.>", f"_INBOX_{OPERATOR}.>", "ai-trader.>", "$JS.>"):
            assert await one.is_denied(subscribe=subject), (user, subject)
        await one.client.close()


async def test_a_forged_decision_is_not_stored(server: EmbeddedNats) -> None:
    async with everybody(server):
        forger = await connect(server, MARKET_DATA)
        with pytest.raises((TimeoutError, nats.errors.Error)):
            await forger.client.jetstream().publish(
                "ai-trader.ai.decision.generated", b"{}", timeout=0.2
            )
        assert "ai-trader.ai.decision.generated" in forger.said.get_nowait()
        await forger.client.close()
        person = await connect(server, OPERATOR)
        info = await person.client.jetstream().stream_info("AI_TRADER_AI")
        assert info.state.messages == 0
        await person.client.close()


async def test_the_operator_watches_and_publishes_and_harms_no_stream(server: EmbeddedNats) -> None:
    async with everybody(server):
        async with console.connected(server.url, server.password(OPERATOR), OPERATOR) as terminal:
            subject = "ai-trader.ai.decision.generated"
            assert await terminal.publish(subject, b"{}", {}) == 1
        person = await connect(server, OPERATOR)
        assert not await person.is_denied(subscribe="ai-trader.trade.>")
        for name in STREAMS:
            for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE"):
                assert await person.is_denied(publish=f"$JS.API.STREAM.{verb}.{name}")
        await person.client.close()


@pytest.mark.parametrize("login", [{}, {"token": "x"}, {"user": "ai-decision", "password": "x"}])
async def test_without_the_right_login_nobody_comes_in(
    server: EmbeddedNats, login: dict[str, str]
) -> None:
    for given in (login, {"token": server.token} if login else {}):
        client = Client()
        with pytest.raises(nats.errors.Error):
            await client.connect(
                server.url,
                user=given.get("user"),
                password=given.get("password"),
                token=given.get("token"),
                allow_reconnect=False,
                connect_timeout=15,
                error_cb=_quiet,
            )
        await client.close()


async def _quiet(_: Exception) -> None:
    pass


async def test_a_wrong_login_of_a_neighbour_is_final(server: EmbeddedNats) -> None:
    logins = dict.fromkeys(SERVICES, "wrong")
    bus = Bus(BusAddress(url=server.url, logins=logins), name="paper")
    with pytest.raises(Refused, match="login"):
        await bus.open()
    await bus.close()


async def test_a_state_directory_of_the_days_of_the_token_goes_on(state_dir: Path) -> None:
    former = EmbeddedNats(state_dir)
    await former.start()
    await former.stop()
    own = OwnNats(state_dir, SETTINGS)
    assert not own.foreseeable, "its logins must be there before the services come"
    await own.start()
    kept = read_logins(state_dir)
    variables = own.variables()
    await own.stop()
    assert variables["ORCHESTRATOR__EVENTBUS__USER"] == ORCHESTRATOR
    assert variables["ORCHESTRATOR__EVENTBUS__TOKEN"] == kept[ORCHESTRATOR]
    assert len(set(kept.values())) == len(kept) == 5
    for file in ("logins.json", "nats.conf"):
        assert (state_dir / "nats" / file).stat().st_mode & 0o777 == 0o600
    again = OwnNats(state_dir, SETTINGS)
    assert again.foreseeable
    assert again.variables() == variables


async def test_the_orchestrator_may_park_the_engine_and_make_its_consumer(
    server: EmbeddedNats,
) -> None:
    prefix = subject_prefix(SETTINGS)
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        bus = orchestrators_bus(server)
        running = group.create_task(bus.run())
        await bus.until_connected()
        await ConsumerParking(bus.request, subject=f"{prefix}.{DECIDED}").park()
        running.cancel()
