"""Which subjects, streams and consumers there must be: pure names, no connection.

    ai-trader . trade . order.filled      (domain prefix . domain . rest)
    prefix ai-trader.orchestrator and type orchestrator.cycle.started
        make ai-trader.orchestrator.cycle.started; with the empty prefix, the type itself

The publish prefix replaces the event type's domain word. Each domain prefix that we publish below
or listen to has the platform's six streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DOMAINS = ("market", "trade", "ai", "analytics", "orchestrator", "system")
OWN_DOMAIN = "orchestrator"
DURABLE_PREFIX = "tradesaga"
ALWAYS = ("system.heartbeat.>", "system.error.occurred")
"""Listened to whatever is configured: the services that name themselves, and their errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """A stream that must exist, and what it takes."""

    name: str
    subject: str


def subject_of(publish_prefix: str, event_type: str) -> str:
    """Where an event of ours is published."""
    domain, _, rest = event_type.partition(".")
    assert domain == OWN_DOMAIN, f"{event_type} is not ours to publish"
    return f"{publish_prefix}.{rest}" if publish_prefix else event_type


def subscriptions(configured: Sequence[str]) -> tuple[str, ...]:
    """What is listened to: the configured subjects and `ALWAYS`, none twice, none below another."""
    prefixes = [p for p in map(_domain_prefix, configured) if p is not None] or [""]
    wanted = dict.fromkeys([*configured, *(p + subject for p in prefixes for subject in ALWAYS)])
    return tuple(
        subject
        for subject in wanted
        if not any(other != subject and covers(other, subject) for other in wanted)
    )


def subjects_heard(listened: Sequence[str], event_type: str) -> tuple[str, ...]:
    """Where an event of that type reaches us, one subject for each prefix; none if nowhere."""
    prefixes = dict.fromkeys(p for p in map(_domain_prefix, listened) if p is not None)
    subjects = (prefix + event_type for prefix in prefixes)
    return tuple(s for s in subjects if any(covers(wide, s) for wide in listened))


def streams(publish_prefix: str, configured: Sequence[str]) -> tuple[StreamPlan, ...]:
    """The six streams of every domain prefix in use, ours first."""
    own = publish_prefix or OWN_DOMAIN
    own_prefix = own[: own.rfind(".") + 1]
    prefixes = [own_prefix, *(p for p in map(_domain_prefix, configured) if p is not None)]
    subjects = {
        _stream_name(prefix + domain): f"{prefix}{domain}.>"
        for prefix in dict.fromkeys(prefixes)
        for domain in DOMAINS
    }
    subjects[_stream_name(own_prefix + OWN_DOMAIN)] = f"{own}.>"  # whatever its last word is
    return tuple(StreamPlan(name=name, subject=subject) for name, subject in subjects.items())


def durable_name(durable_prefix: str, subject: str) -> str:
    """The consumer of `subject`: different for different subjects, and legal."""
    words = {"*": "ANY", ">": "ALL"}
    tokens = (words.get(token, token.replace("_", "__")) for token in subject.split("."))
    return "_".join((durable_prefix, *tokens))


def covers(wide: str, narrow: str) -> bool:
    """Whether every subject that `narrow` stands for is one of `wide`'s."""
    wides, narrows = wide.split("."), narrow.split(".")
    for index, word in enumerate(wides):
        if word == ">":
            return len(narrows) > index
        if index >= len(narrows) or narrows[index] == ">":
            return False
        if word not in ("*", narrows[index]):
            return False
    return len(wides) == len(narrows)


def _domain_prefix(subject: str) -> str | None:
    """What stands before the domain word, with its dot; None when there is no domain word."""
    tokens = subject.split(".")
    for index, token in enumerate(tokens):
        if token in DOMAINS:
            return "".join(f"{before}." for before in tokens[:index])
    return None


def _stream_name(domain: str) -> str:
    return domain.replace("-", "_").replace(".", "_").upper()
