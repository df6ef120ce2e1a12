"""The event bus on NATS JetStream.

`run` owns everything that lives: one connection, and one pulling loop for each durable consumer,
all in one TaskGroup. The first that fails ends them all, and after a pause everything is built
anew from the connection up: streams and consumers that are gone are made again, whatever
happened. Neither `publish` nor the deliveries notice more than a delay.

Pauses are real time: market time may stand still. Nothing is lost by an end: what was delivered
and not acknowledged is delivered again after the server's ack wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import replace
from datetime import timedelta

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import PubAck
from structlog import get_logger

from tradesaga.adapters.nats import topology
from tradesaga.adapters.nats.delivery import NatsDelivery
from tradesaga.adapters.nats.envelope import Unreadable, encode
from tradesaga.adapters.nats.link import Link, opened
from tradesaga.adapters.nats.payloads import Check, decode_event
from tradesaga.adapters.nats.provisioning import (
    Consumer,
    StreamLimits,
    ensure_consumers,
    ensure_streams,
)
from tradesaga.adapters.nats.pull import pull
from tradesaga.domain.errors import Refused, Rejected, Unavailable
from tradesaga.domain.events import CYCLE_STARTED, Incoming
from tradesaga.domain.ids import AgentId, uuid_or_none
from tradesaga.domain.trace_context import read_trace
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.stream import StreamEnd, Told
from tradesaga.ports.tracing import UNTRACED, SpanKind, Tracer

log = get_logger(__name__)

WAITING_MAX = 256
"""Deliveries that wait for the engine; far fewer than it handles within the server's ack wait."""
PAUSE_FIRST = timedelta(milliseconds=100)
PAUSE_MAX = timedelta(seconds=1)
OPEN_TIME_MAX = timedelta(seconds=3)
PREPARE_TIME_MAX = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=1)
TRACEPARENT = "traceparent"
ROW = "Tradesaga-Row"
"""The agent and the number of the row that the event comes of: not in the body, which is theirs."""


class NatsBus:
    """Implements `ports.bus.Bus`; useless until somebody runs `run`.

    `url` names one server or several with commas. Two processes with one `durable_prefix` share
    the messages between them: only the holder of the agent's lease may run it. With `idle_max`
    the server forgets the consumers of one that has not run for that long.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        user: str = "",
        clock: Clock,
        publish_prefix: str,
        subscriptions: Sequence[str],
        durable_prefix: str = topology.DURABLE_PREFIX,
        publish_time_max: timedelta = timedelta(seconds=2),
        retry_after: timedelta = RETRY_AFTER,
        limits: StreamLimits | None = None,
        idle_max: timedelta | None = None,
        signatures: Check | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._signatures = signatures
        self._url = url
        self._token, self._user = token, user
        self._clock = clock
        self._publish_prefix = publish_prefix
        self._subjects = topology.subscriptions(subscriptions)
        self._streams = topology.streams(publish_prefix, subscriptions)
        self._durable_prefix = durable_prefix
        self._publish_seconds_max = publish_time_max.total_seconds()
        self._retry_after = retry_after
        self._idle_max = idle_max
        self._limits = limits or StreamLimits()
        self._waiting: asyncio.Queue[NatsDelivery] = asyncio.Queue(WAITING_MAX)
        self._ready = asyncio.Event()
        self._link: Link | None = None
        self._connections = 0

    # ---- the port -----------------------------------------------------------------------------

    async def publish(self, row: OutboxRow) -> Published:
        """Return when the bus has stored the event; waits for a connection within its time."""
        subject = topology.subject_of(self._publish_prefix, row.type)
        with self._tracer.span(
            "publish",
            kind=SpanKind.PRODUCER,
            about=row.correlation_id,
            subject=subject,
            event_id=row.event_id,
            correlation_id=row.correlation_id or "",
        ):
            return await self._publish(row, subject)

    async def _publish(self, row: OutboxRow, subject: str) -> Published:
        headers, here = {"Nats-Msg-Id": row.event_id}, self._tracer.here()
        if row.agent_id is not None:
            headers[ROW] = f"{row.agent_id} {row.sequence}"
        if here is not None:  # never in the body: a repeat must be the same to the byte
            headers[TRACEPARENT] = here.header
        try:
            async with asyncio.timeout(self._publish_seconds_max) as bound:
                link = await self._open_link()
                with link.cut_short(bound):
                    body = encode(row)
                    stored = await self._store(link, subject, body, headers)
                    if stored.duplicate:
                        await _must_hold(link, stored, body)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            reason = str(error) or "no acknowledgement in time"
            raise Unavailable(f"event {row.event_id} on {subject}: {reason}") from error
        return Published(stream_sequence=stored.seq, duplicate=bool(stored.duplicate))

    async def request(self, subject: str, body: bytes) -> bytes:
        """Ask the server itself, as its administration is asked; its answer.

        Raises:
            Unavailable: there was none in time.
        """
        try:
            async with asyncio.timeout(self._publish_seconds_max) as bound:
                link = await self._open_link()
                with link.cut_short(bound):
                    limit = 2 * self._publish_seconds_max
                    return bytes((await link.client.request(subject, body, timeout=limit)).data)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Unavailable(f"{subject}: {str(error) or 'no answer in time'}") from error

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """All subscribed events for ever; one reader."""
        while True:
            yield await self._waiting.get()

    def read(self, _subject: str, body: bytes) -> Incoming:
        """See `ports.bus.ReadMessage`."""
        try:
            return decode_event(body, self._clock.now(), self._signatures)
        except Unreadable as error:
            raise Rejected(str(error)) from error

    def is_connected(self) -> bool:
        """Whether the connection stands and all consumers are in place."""
        return self._link is not None and self._link.is_open

    def connection(self) -> int:
        """The number of the present connection, 0 without one."""
        return self._connections if self.is_connected() else 0

    async def stream_end(self) -> StreamEnd:
        """When the stream that takes our events was made, and its last number."""
        subject = topology.subject_of(self._publish_prefix, CYCLE_STARTED)
        try:
            async with asyncio.timeout(self._publish_seconds_max) as bound:
                link = await self._open_link()
                with link.cut_short(bound):
                    name = await link.jetstream.find_stream_name_by_subject(subject)
                    info = await link.jetstream.stream_info(name)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Unavailable(f"the stream of {subject}: {error!r}") from error
        assert info.created is not None, "a stream was made at some time"
        return StreamEnd(created=info.created, last_sequence=info.state.last_seq)

    async def last_of_ours(self) -> Told | None:
        """The last event of an orchestrator in the stream, if it tells its row."""
        subject = topology.subject_of(self._publish_prefix, f"{topology.OWN_DOMAIN}.>")
        try:
            async with asyncio.timeout(self._publish_seconds_max) as bound:
                link = await self._open_link()
                with link.cut_short(bound):
                    name = await link.jetstream.find_stream_name_by_subject(subject)
                    held = await link.jetstream.get_last_msg(name, subject)
        except nats.js.errors.NotFoundError:
            return None
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Unavailable(f"the last event on {subject}: {error!r}") from error
        return _row_told(held.headers or {})

    # ---- the loop -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Hold the connection and take what comes, for ever; ends by cancellation alone."""
        pause = PAUSE_FIRST
        while True:
            was_ready = False
            try:
                async with self._opened() as link:
                    consumers = await self._prepare(link)
                    was_ready = True
                    await self._serve(link, consumers)
            except* (Unavailable, TimeoutError, OSError, nats.errors.Error) as ends:
                log.warning("bus_lost", reasons=_reasons(ends))
            except* Refused as ends:
                _report_refusal(ends)
            _forget_cancellation_by_group()
            pause = PAUSE_FIRST if was_ready else min(2 * pause, PAUSE_MAX)
            await _real_pause(pause)

    async def until_connected(self) -> None:
        """Return when events can be published and are listened to."""
        await self._ready.wait()

    async def _open_link(self) -> Link:
        while True:
            await self._ready.wait()
            assert self._link is not None
            if self._link.is_open:
                return self._link
            self._ready.clear()  # `run` has not noticed yet; it sets it when it is back

    async def _store(
        self, link: Link, subject: str, body: bytes, headers: dict[str, str]
    ) -> PubAck:
        # The library wants a limit of its own; the caller's is shorter.
        limit = 2 * self._publish_seconds_max
        try:
            return await link.jetstream.publish(subject, body, timeout=limit, headers=headers)
        except nats.js.errors.NoStreamResponseError:
            link.give_up()  # its stream is gone: `run` builds everything anew
            raise

    def _opened(self) -> AbstractAsyncContextManager[Link]:
        return opened(
            self._url,
            self._token,
            user=self._user,
            name=self._durable_prefix,
            open_seconds_max=OPEN_TIME_MAX.total_seconds(),
            request_seconds_max=OPEN_TIME_MAX.total_seconds(),
        )

    async def _prepare(self, link: Link) -> tuple[Consumer, ...]:
        async with asyncio.timeout(PREPARE_TIME_MAX.total_seconds()) as bound:
            with link.cut_short(bound):
                await ensure_streams(link, self._streams, self._limits)
                return await ensure_consumers(
                    link, self._subjects, self._durable_prefix, idle_max=self._idle_max
                )

    async def _serve(self, link: Link, consumers: Sequence[Consumer]) -> None:
        self._link = link
        self._connections += 1
        self._ready.set()
        log.info("bus_connected", consumers=len(consumers))
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(link.until_lost(), name="bus-link")
                for consumer in consumers:
                    loops.create_task(self._take(link, consumer), name=f"bus-{consumer.name}")
        finally:
            self._ready.clear()
            self._link = None

    async def _take(self, link: Link, consumer: Consumer) -> None:
        async with aclosing(pull(link, stream=consumer.stream, consumer=consumer.name)) as messages:
            async for message in messages:
                await self._waiting.put(self._delivery(message))

    def _delivery(self, message: Msg) -> NatsDelivery:
        incoming: Incoming | None = None
        problem = ""
        try:
            incoming = decode_event(message.data, self._clock.now(), self._signatures)
            sent = message.headers if self._tracer.is_on else None
            if sent and (trace := read_trace(sent.get(TRACEPARENT))):
                incoming = replace(incoming, trace=trace)
        except Unreadable as error:
            problem = str(error)
        return NatsDelivery(
            incoming=incoming,
            problem=problem,
            subject=message.subject,
            body=message.data,
            reply=message.reply,
            answer=self._answer,
            retry_after=self._retry_after,
        )

    async def _answer(self, reply: str, body: bytes) -> None:
        link = self._link
        try:
            if link is None:
                raise Unavailable("not connected")  # noqa: TRY301 -- told like a failing send
            await link.client.publish(reply, body)
        except (Unavailable, OSError, nats.errors.Error) as error:
            log.debug("bus_answer_lost", answer=body.decode(), error=str(error))


def _row_told(headers: Mapping[str, str]) -> Told | None:
    agent, _, number = headers.get(ROW, "").partition(" ")
    agent_id, event_id = uuid_or_none(agent), headers.get("Nats-Msg-Id", "")
    if agent_id is None or not number.isdecimal() or uuid_or_none(event_id) is None:
        return None
    return Told(agent_id=AgentId(agent_id), sequence=int(number), event_id=event_id)


async def _must_hold(link: Link, stored: PubAck, body: bytes) -> None:
    """A repeat is dropped by its id alone: the stream must hold the very same message."""
    try:
        held = await link.jetstream.get_msg(stored.stream, stored.seq)
    except nats.js.errors.NotFoundError:
        return  # it was stored, and is past the limits of the stream by now
    if held.data != body:
        log.error("bus_id_of_another_event", stream=stored.stream, sequence=stored.seq)
        raise Unavailable(f"message {stored.seq} of {stored.stream} has its id and another body")


async def _real_pause(time_max: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(time_max.total_seconds()):
            await asyncio.Event().wait()


def _forget_cancellation_by_group() -> None:
    """Undo the mark that a task group which failed leaves on the task that waited for it.

    The timeouts of Python before 3.11.4 take the mark for a cancellation from outside, and raise
    CancelledError from then on. A real one beside it stays: there are two marks then.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()


def _report_refusal(ends: BaseExceptionGroup[Refused]) -> None:
    log.error(
        "bus_refuses_login", reasons=_reasons(ends), remedy="check eventBus.user and eventBus.token"
    )


def _reasons(ends: BaseExceptionGroup[BaseException]) -> list[str]:
    """The text of every failure below, without the groups around it."""
    found = []
    for error in ends.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += _reasons(error)
        else:
            found.append(str(error) or type(error).__name__)
    return found
