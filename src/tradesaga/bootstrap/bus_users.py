"""Who may do what on the embedded NATS server: one login for each service and one for a person.

A service may publish what is its own, ask JetStream about its own consumers (the orchestrator about
all but those of the services), and hear its own inbox. So a message on `ai.decision.generated` is
from ai-decision, or from a person with the operator's login. Nobody may delete or empty a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tradesaga.adapters.nats import topology
from tradesaga.adapters.nats.parking import DECIDED, ParkedConsumer
from tradesaga.bootstrap.translation import subject_prefix
from tradesaga.config import Settings
from tradesaga.embedded.nats import NatsUser
from tradesaga.paper.personality import AI_DECISION, MARKET_DATA, TRADING_ENGINE
from tradesaga.paper.platform.engine import DECIDED_DURABLE
from tradesaga.paper.spec.neighbours import ANALYSIS_DURABLE

ORCHESTRATOR: Final = "orchestrator"
OPERATOR: Final = "operator"
_OWN: Final = {
    TRADING_ENGINE: ("trade.>", (DECIDED_DURABLE,)),
    AI_DECISION: ("ai.>", (ANALYSIS_DURABLE,)),
    MARKET_DATA: ("market.>", ()),
}


_MAKES_THE_ENGINES: Final = f"$JS.API.CONSUMER.CREATE.*.{DECIDED_DURABLE}.>"


def users_of(settings: Settings) -> tuple[NatsUser, ...]:
    """All users, with the configured subjects."""
    prefix = subject_prefix(settings)
    below = f"{prefix}." if prefix else ""
    return (
        _orchestrator(settings),
        *(_service(name, below) for name in _OWN),
        _operator(settings, below),
    )


def _orchestrator(settings: Settings) -> NatsUser:
    bus = settings.event_bus
    own, *others = (plan.name for plan in topology.streams(bus.publish_prefix, bus.subscriptions))
    return NatsUser(
        name=ORCHESTRATOR,
        publish=[
            topology.subject_of(bus.publish_prefix, f"{topology.OWN_DOMAIN}.>"),
            "$JS.API.STREAM.NAMES",
            *_makes([own, *others]),
            *_reads(_own_stream(settings)),
            # Each node has consumers of its own name, which a pattern cannot tell by its beginning.
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.CREATE.*.*.>",
            "$JS.API.CONSUMER.MSG.NEXT.*.*",
            "$JS.ACK.*.*.>",
            *_parks(subject_prefix(settings)),
        ],
        subscribe=[_inbox(ORCHESTRATOR)],
        refused=[
            one
            for _, durables in _OWN.values()
            for one in _consumes(durables)
            if one != _MAKES_THE_ENGINES  # where the engine never ran it is made, paused
        ],
    )


def _service(name: str, below: str) -> NatsUser:
    own, durables = _OWN[name]
    makes = _makes("*") if name == TRADING_ENGINE else ()  # one makes the streams for all three
    hears = [f"{below}orchestrator.>"] if name == MARKET_DATA else []
    return NatsUser(
        name=name,
        publish=[f"{below}{own}", f"{below}system.>", *makes, *_consumes(durables)],
        subscribe=[_inbox(name), *hears],
    )


def _operator(settings: Settings, below: str) -> NatsUser:
    """The command line: watches everything, publishes any event by hand, changes no stream."""
    bus = settings.event_bus
    subjects = [plan.subject for plan in topology.streams(bus.publish_prefix, bus.subscriptions)]
    return NatsUser(
        name=OPERATOR,
        publish=[
            *subjects,
            *(f"{below}{domain}.>" for domain in topology.DOMAINS),
            "$JS.API.INFO",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.INFO.*",
        ],
        subscribe=[
            _inbox(OPERATOR),
            *subjects,
            *(f"{below}{domain}.>" for domain in topology.DOMAINS),
        ],
    )


def _own_stream(settings: Settings) -> str:
    bus = settings.event_bus
    subject = topology.subject_of(bus.publish_prefix, f"{topology.OWN_DOMAIN}.>")
    plans = topology.streams(bus.publish_prefix, bus.subscriptions)
    return next(plan.name for plan in plans if plan.subject == subject)


def _makes(streams: Sequence[str]) -> Iterator[str]:
    for stream in streams:
        yield f"$JS.API.STREAM.INFO.{stream}"
        yield f"$JS.API.STREAM.CREATE.{stream}"


def _reads(stream: str) -> Iterator[str]:
    yield f"$JS.API.STREAM.MSG.GET.{stream}"
    yield f"$JS.API.DIRECT.GET.{stream}"


def _parks(prefix: str) -> Iterator[str]:
    """The consumer by which the engine trades by itself is the one of others that is touched."""
    parking = ParkedConsumer(f"{prefix}.{DECIDED}" if prefix else DECIDED)
    yield parking.pausing
    yield parking.making


def _consumes(durables: Sequence[str]) -> Iterator[str]:
    for durable in durables:
        yield f"$JS.API.CONSUMER.INFO.*.{durable}"
        yield f"$JS.API.CONSUMER.CREATE.*.{durable}"
        yield f"$JS.API.CONSUMER.CREATE.*.{durable}.>"
        yield f"$JS.API.CONSUMER.DURABLE.CREATE.*.{durable}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.*.{durable}"
        yield f"$JS.ACK.*.{durable}.>"


def _inbox(user: str) -> str:
    return f"_INBOX_{user}.>"
