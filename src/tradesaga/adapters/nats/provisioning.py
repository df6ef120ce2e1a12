"""Streams and durable consumers as they must be: made if absent, compared if present.

Streams that exist are taken as they are, whoever made them; one that would lose events is named
in the log at every connection. Our own durables are brought to our
terms: explicit acknowledgement and no limit of deliveries, since the server loses a message
silently when such a limit is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import nats.js.errors
from nats.js import api
from structlog import get_logger

from tradesaga.adapters.nats.link import Link
from tradesaga.adapters.nats.topology import StreamPlan, durable_name
from tradesaga.domain.errors import Unavailable

log = get_logger(__name__)

ACK_WAIT = timedelta(seconds=30)
ACK_PENDING_MAX = 1000
MESSAGE_BYTES_MIN = 32 * 1024
"""What a stream must take: our events stay below."""
_COMPARED = ("ack_policy", "ack_wait", "max_deliver", "max_ack_pending", "filter_subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Terms of a stream that we make; the server reserves `bytes_max` at once."""

    age_max: timedelta = timedelta(days=7)
    messages_max: int = 100_000
    bytes_max: int = 64 * 1024 * 1024
    duplicate_window: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A durable consumer that exists."""

    stream: str
    name: str


async def ensure_streams(link: Link, plans: Sequence[StreamPlan], limits: StreamLimits) -> None:
    """Make those that are absent.

    Raises:
        nats.errors.Error: no answer, or no room for them.
    """
    for plan in plans:
        found = await _config_of(link, plan.name)
        if found is not None:
            for problem in losing(found, limits):
                log.error("stream_may_lose", stream=plan.name, problem=problem)
            continue
        try:
            await link.jetstream.add_stream(_stream_config(plan, limits))
        except nats.js.errors.BadRequestError as error:
            # Another process was first, or another stream takes the subject already.
            if not await _streams_of(link, plan.subject):
                raise
            log.warning("stream_not_made", stream=plan.name, error=str(error))
        else:
            log.info("stream_made", stream=plan.name, subject=plan.subject)


async def ensure_consumers(
    link: Link,
    subjects: Sequence[str],
    durable_prefix: str,
    *,
    idle_max: timedelta | None = None,
) -> tuple[Consumer, ...]:
    """One durable for each subject in each stream that takes it; new ones begin with the next
    message. The server forgets one that nobody reads for `idle_max`.

    Raises:
        Unavailable: no stream takes a subject.
        nats.errors.Error: no answer, or the server refuses.
    """
    consumers = []
    for subject in subjects:
        streams = await _streams_of(link, subject)
        if not streams:
            raise Unavailable(f"no stream takes {subject}: make one, or correct the subscription")
        for stream in streams:
            name = durable_name(durable_prefix, subject)
            await _ensure_consumer(link, stream, _consumer_config(name, subject, idle_max))
            consumers.append(Consumer(stream=stream, name=name))
    return tuple(consumers)


async def _ensure_consumer(link: Link, stream: str, wanted: api.ConsumerConfig) -> None:
    assert wanted.name is not None
    try:
        found = (await link.jetstream.consumer_info(stream, wanted.name)).config
    except nats.js.errors.NotFoundError:
        await link.jetstream.add_consumer(stream, wanted)
        log.info("consumer_made", stream=stream, consumer=wanted.name)
        return
    differing = [name for name in _COMPARED if getattr(found, name) != getattr(wanted, name)]
    if differing:
        log.warning("consumer_differs", stream=stream, consumer=wanted.name, fields=differing)
        start = wanted.evolve(
            deliver_policy=found.deliver_policy,
            opt_start_seq=found.opt_start_seq,
            opt_start_time=found.opt_start_time,
        )
        await link.jetstream.add_consumer(stream, start)


def losing(found: api.StreamConfig, limits: StreamLimits) -> Iterator[str]:
    """How a stream that somebody else made would lose or refuse events; empty when it would not."""
    if found.storage != api.StorageType.FILE:
        yield "storage is memory: a restart of the server empties it"
    if found.persist_mode == "async":
        yield "persist_mode is async: sync_interval has no effect on it"
    if found.retention != api.RetentionPolicy.LIMITS:
        yield f"retention is {found.retention}: a reader's acknowledgement removes what others need"
    if found.discard != api.DiscardPolicy.OLD:
        yield "discard is new: a full stream refuses events"
    if found.no_ack:
        yield "no_ack is set: nothing published counts as stored"
    if 0 < (found.max_msg_size or 0) < MESSAGE_BYTES_MIN:
        yield f"max_msg_size is {found.max_msg_size}: events of up to {MESSAGE_BYTES_MIN} are sent"
    window = limits.duplicate_window.total_seconds() / 2
    if found.duplicate_window < window:
        yield f"duplicate_window is {found.duplicate_window:g} s: repeats are stored twice"


async def _config_of(link: Link, name: str) -> api.StreamConfig | None:
    try:
        return (await link.jetstream.stream_info(name)).config
    except nats.js.errors.NotFoundError:
        return None


async def _streams_of(link: Link, subject: str) -> list[str]:
    """Names of all streams that take any subject which `subject` stands for."""
    message = await link.client.request(
        "$JS.API.STREAM.NAMES", msgspec.json.encode({"subject": subject}), timeout=5
    )
    answer: dict[str, list[str] | None] = msgspec.json.decode(message.data)
    return sorted(answer.get("streams") or [])


def _stream_config(plan: StreamPlan, limits: StreamLimits) -> api.StreamConfig:
    return api.StreamConfig(
        name=plan.name,
        subjects=[plan.subject],
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.OLD,
        max_age=limits.age_max.total_seconds(),
        max_msgs=limits.messages_max,
        max_bytes=limits.bytes_max,
        duplicate_window=limits.duplicate_window.total_seconds(),
        num_replicas=1,
    )


def _consumer_config(name: str, subject: str, idle_max: timedelta | None) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=name,
        durable_name=name,
        filter_subject=subject,
        deliver_policy=api.DeliverPolicy.NEW,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT.total_seconds(),
        max_deliver=-1,
        max_ack_pending=ACK_PENDING_MAX,
        inactive_threshold=None if idle_max is None else idle_max.total_seconds(),
    )
