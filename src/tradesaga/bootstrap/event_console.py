"""The bus for a person: watch it, publish one event by hand, publish committed ones again.

Needs no running orchestrator. What is published by hand is held against its schema first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tradesaga.adapters import logging as log_output
from tradesaga.adapters.nats import console, topology
from tradesaga.adapters.nats.envelope import Unreadable, decode, encode_by_hand
from tradesaga.adapters.nats.envelope import encode as encode_row
from tradesaga.adapters.nats.judging import problem_of
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox
from tradesaga.adapters.system import SystemClock, SystemIds
from tradesaga.bootstrap import databases
from tradesaga.bootstrap.bus_users import OPERATOR
from tradesaga.bootstrap.children import dialect_of, spoken_as
from tradesaga.bootstrap.verifying import VerifyOptions, refuse_old_schema, system_of
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.embedded.nats import read_logins
from tradesaga.embedded.state import Ports, default_state_dir

BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """Which system; None leaves it to the configuration."""

    config: Path | None = None
    state_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One message; `problem` says what breaks its schema, None when it has none."""

    subject: str
    event_type: str
    event_id: str
    body: bytes
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """An event that a person publishes; `payload` is the text of a JSON object."""

    type: str
    payload: bytes
    source: str
    correlation_id: str | None = None


async def tail(
    options: ConsoleOptions, environment: Mapping[str, str], subjects: Sequence[str]
) -> AsyncGenerator[Seen]:
    """What passes from now on, on `subjects` or else on all that the platform uses.

    Raises Invalid, Refused, Unavailable.
    """
    settings, url, token, user = _bus_of(options, environment)
    async with console.connected(url, token, user) as bus:
        async for subject, body in bus.tail(subjects or _all(settings)):
            yield _seen(subject, body)


async def publish(options: ConsoleOptions, environment: Mapping[str, str], event: ByHand) -> str:
    """Where it went, as one line. Raises Invalid for what breaks its schema, Unavailable."""
    settings, url, token, user = _bus_of(options, environment)
    event_id = str(SystemIds().uuid7())
    body = encode_by_hand(
        event_id=event_id,
        event_type=event.type,
        source=event.source,
        at=SystemClock().now(),
        correlation_id=event.correlation_id,
        payload=event.payload,
    )
    problem = problem_of(event.type, body)
    if problem is not None:
        raise Invalid([problem])
    subject = _subject(settings, event.type)
    async with console.connected(url, token, user) as bus:
        sequence = await bus.publish(subject, body, {"Nats-Msg-Id": event_id})
    return f"{event_id} is message {sequence} on {subject}"


async def republish(
    options: ConsoleOptions, environment: Mapping[str, str], *, since: int, until: int | None
) -> int:
    """Publish our events of a part of the log again, under the same ids; how many.

    Raises Invalid, Refused, Unavailable.
    """
    settings, url, token, user = _bus_of(options, environment)
    number = 0
    async with console.connected(url, token, user) as bus, _outbox(options, environment) as outbox:
        after, agent_id = since - 1, AgentId(settings.agent.id)
        while rows := await outbox.between(agent_id, after=after, until=until, limit=BATCH):
            for row in rows:
                subject = topology.subject_of(settings.event_bus.publish_prefix, row.type)
                await bus.publish(subject, encode_row(row), {"Nats-Msg-Id": row.event_id})
                number += 1
            after = rows[-1].sequence
    return number


@asynccontextmanager
async def _outbox(
    options: ConsoleOptions, environment: Mapping[str, str]
) -> AsyncIterator[PostgresOutbox]:
    system = system_of(_as_verifying(options), environment)
    schema = system.settings.database.schema
    await refuse_old_schema(system.dsn, schema)
    pool = ReaderPool(system.dsn, schema=schema, connections_max=1)
    try:
        yield PostgresOutbox(pool)
    finally:
        await pool.close()


def _as_verifying(options: ConsoleOptions) -> VerifyOptions:
    return VerifyOptions(config=options.config, state_dir=options.state_dir)


def _bus_of(
    options: ConsoleOptions, environment: Mapping[str, str]
) -> tuple[Settings, str, str, str]:
    """Settings, address, token and user; the embedded server is known by its state directory."""
    log_output.configure(level="warning", form="text")  # stdout is for the events
    plan = databases.plan(options.config, environment, {})
    if not plan.embeds_nats:
        bus = plan.loaded.settings.event_bus
        return plan.loaded.settings, bus.url, bus.token.reveal(), bus.user
    state_dir = options.state_dir or default_state_dir()
    spoken = spoken_as(dialect_of(state_dir))
    settings = databases.plan(options.config, environment, spoken).loaded.settings
    port = Ports(state_dir / "ports.json").get("nats")
    token = read_logins(state_dir).get(OPERATOR)
    if port is None or token is None:
        raise Unavailable(_nothing_in(state_dir))
    return settings, f"nats://127.0.0.1:{port}", token, OPERATOR


def _nothing_in(state_dir: Path) -> str:
    return (
        f"no event bus was ever started in {state_dir}: name another with --state-dir, or a "
        "server with NATS_URL"
    )


def _all(settings: Settings) -> Sequence[str]:
    bus = settings.event_bus
    return [plan.subject for plan in topology.streams(bus.publish_prefix, bus.subscriptions)]


def _subject(settings: Settings, event_type: str) -> str:
    """Where readers of that type listen."""
    bus = settings.event_bus
    if event_type.startswith(f"{topology.OWN_DOMAIN}."):
        return topology.subject_of(bus.publish_prefix, event_type)
    listened = topology.subscriptions(bus.subscriptions)
    heard = topology.subjects_heard(listened, event_type)
    if not heard:
        raise Invalid([f"nobody here listens to {event_type}: see eventBus.subscriptions"])
    return heard[0]


def _seen(subject: str, body: bytes) -> Seen:
    try:
        found = decode(body)
    except Unreadable as error:
        return Seen(subject=subject, event_type="", event_id="", body=body, problem=str(error))
    return Seen(
        subject=subject,
        event_type=found.event_type,
        event_id=found.event_id,
        body=body,
        problem=problem_of(found.event_type, body),
    )


def settings_of(config: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings; addresses of servers may be missing. Raises Invalid."""
    return databases.plan(config, environment, {}).loaded.settings


def payload_of(text: bytes) -> bytes:
    """`text` if it is a JSON object. Raises Invalid."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid([f"the payload is no JSON: {error}"]) from error
    if not isinstance(found, dict):
        raise Invalid(["the payload is no JSON object"])
    return text
