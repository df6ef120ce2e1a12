"""The simulated neighbours on NATS: streams, publishing, subscriptions.

One connection with a token for all three, or one for each with its own login: then a service can
only publish what is its own.

Comes back by itself, for ever, after an outage or a restart of the server; while it is away
publishing raises Unavailable and the outbox keeps the events. Streams are made if they are absent
and taken as they are otherwise. A refused token is final: it raises Refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from structlog import get_logger

from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.paper.store import Outgoing

EVERYBODY = ""
MAKES_STREAMS = "trading-engine"
LISTENER = "market-data"
"""Who takes note of the agent's events: time is its."""
DOMAINS = ("market", "trade", "ai", "analytics", "orchestrator", "system")
STREAM_DAYS_MAX = 7
STREAM_MESSAGES_MAX = 100_000
STREAM_BYTES_MAX = 64 * 1024 * 1024
DUPLICATE_SECONDS = 120
CONNECT_SECONDS_MAX = 5.0
PUBLISH_SECONDS_MAX = 2.0
FETCH_SECONDS = 1.0
RETRY_SECONDS = 0.2
ACK_SECONDS = 30
TRIES_OF_THE_PLATFORM = 3
T = TypeVar("T")
_AUTHORIZATION = "authorization violation"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusAddress:
    """Where the server is; an empty `prefix` makes the subject the bare event type.

    `logins` are passwords by service, each a user of that name; without them `token` opens.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    prefix: str = "ai-trader"
    stream_bytes_max: int = STREAM_BYTES_MAX

    def subject(self, event_type: str) -> str:
        """The subject that events of that type travel on."""
        return f"{self.prefix}.{event_type}" if self.prefix else event_type

    def stream(self, domain: str) -> str:
        """The name of the stream of a domain word."""
        name = f"{self.prefix}.{domain}" if self.prefix else domain
        return name.upper().replace("-", "_").replace(".", "_")


class Bus:
    """Connection and streams; `open` must have returned before anything else is asked."""

    def __init__(self, address: BusAddress, *, name: str) -> None:
        self._address = address
        self._name = name
        self._connections: dict[str, Client] = {}
        self._streams_made = False

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        there = self._connections
        return len(there) == len(self._services) and all(c.is_connected for c in there.values())

    @property
    def ready(self) -> bool:
        """Whether events can leave: connected, and the streams are there."""
        return self.connected and self._streams_made

    async def open(self) -> None:
        """Connect and make the streams, however long it takes. Raises Refused for the token."""
        while not self.ready:
            try:
                if not self.connected:
                    await self._connect()
                await self._make_streams()
            except (TimeoutError, OSError, nats.errors.Error) as error:
                _log.warning("bus_not_ready", reason=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Close the connection at once; unsent events stay in the outbox."""
        for connection in self._connections.values():
            await connection.close()

    async def send(self, event: Outgoing, message_id: str | None) -> None:
        """Publish one event and wait for the stream's acknowledgement. Raises Unavailable."""
        if not self.connected:
            raise Unavailable("no connection to NATS")
        headers = {} if event.trace is None else {"traceparent": event.trace}
        if message_id is not None:
            headers["Nats-Msg-Id"] = message_id
        try:
            await _cancellable(
                self._stream_api(event.source).publish(
                    self._address.subject(event.event_type),
                    event.body,
                    timeout=PUBLISH_SECONDS_MAX,
                    headers=headers or None,
                )
            )
        except nats.js.errors.NoStreamResponseError as error:
            await self._make_again()
            raise Unavailable(f"no stream takes {event.event_type}") from error
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    async def tell(self, event: Outgoing) -> bool:
        """Publish an event that may be lost, like a heartbeat; answers whether it went out."""
        try:
            await self.send(event, event.event_id)
        except Unavailable:
            return False
        return True

    async def listen(self, event_types: str, heard: Callable[[bytes], Awaitable[None]]) -> None:
        """Call `heard` with each message on those subjects (`*` and `>` allowed) from now on."""

        async def on_message(message: Msg) -> None:
            await heard(message.data)

        subject = self._address.subject(event_types)
        await _cancellable(self._client(LISTENER).subscribe(subject, cb=on_message))

    async def requests(
        self, event_type: str, durable: str, *, only_new: bool = False
    ) -> AsyncIterator[Msg]:
        """The messages of a durable pull consumer, for ever; the caller acknowledges each.

        `only_new`: a consumer that is made now takes what comes from now on, each three times at
        most, as the platform's own do.
        """
        while True:
            try:
                subscription = await self._consumer(event_type, durable, only_new=only_new)
                while True:
                    try:
                        for message in await _cancellable(
                            subscription.fetch(1, timeout=FETCH_SECONDS)
                        ):
                            yield message
                    except nats.errors.TimeoutError:
                        # Idle, or the server has lost the consumer, which nobody would tell us.
                        await _cancellable(subscription.consumer_info())
            except (TimeoutError, OSError, nats.errors.Error) as error:
                _log.warning("consumer_lost", durable=durable, reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                await self._make_again()

    async def settle(self, message: Msg, *, readable: bool) -> None:
        """Acknowledge a request, or end its delivery if nobody will ever be able to read it."""
        try:
            await _cancellable(message.ack() if readable else message.term())
        except (OSError, nats.errors.Error) as error:
            _log.warning("request_not_settled", reason=str(error))  # it will come again

    @property
    def _services(self) -> Sequence[str]:
        """Who has a connection: each service with a login, else one for all."""
        return tuple(self._address.logins) or (EVERYBODY,)

    def _client(self, service: str) -> Client:
        found = self._connections.get(service if self._address.logins else EVERYBODY)
        if found is None:
            raise nats.errors.ConnectionClosedError
        return found

    def _stream_api(self, service: str) -> JetStreamContext:
        return self._client(service).jetstream(timeout=PUBLISH_SECONDS_MAX)

    async def _consumer(
        self, event_type: str, durable: str, *, only_new: bool
    ) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=durable,
            deliver_policy=DeliverPolicy.NEW if only_new else DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_SECONDS,
            max_deliver=TRIES_OF_THE_PLATFORM if only_new else -1,
            max_ack_pending=1000,
        )
        # A durable is named after the service that it belongs to.
        service = next((one for one in self._services if durable.startswith(one)), EVERYBODY)
        return await _cancellable(
            self._stream_api(service).pull_subscribe(
                self._address.subject(event_type),
                durable=durable,
                stream=self._address.stream(event_type.partition(".")[0]),
                config=config,
            )
        )

    async def _connect(self) -> None:
        for service in self._services:
            if not (service in self._connections and self._connections[service].is_connected):
                await self._connect_as(service)

    async def _connect_as(self, service: str) -> None:
        client = Client()
        password = self._address.logins.get(service)
        login = (
            {"token": self._address.token or ""}
            if password is None
            else {"user": service, "password": password, "inbox_prefix": f"_INBOX_{service}"}
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await client.connect(
                    self._address.url,
                    name=f"{self._name} {service}".strip(),
                    **login,  # type: ignore[arg-type]  # each is a string of its own name
                    allow_reconnect=False,  # the first time we want to hear what is wrong
                    max_reconnect_attempts=-1,  # else it closes for good after sixty
                    reconnect_time_wait=RETRY_SECONDS,  # type: ignore[arg-type]  # fractions do
                    ping_interval=5,
                    max_outstanding_pings=2,
                    drain_timeout=5,
                    error_cb=_log_error,
                )
        except BaseException as error:
            await client.close()  # else its socket and its tasks would stay
            if _AUTHORIZATION in str(error).lower():
                raise Refused(
                    f"NATS at {self._address.url} refuses the login; check it",
                    code="NATS_AUTHORIZATION",
                ) from error
            raise
        client.options["allow_reconnect"] = True
        self._connections[service] = client

    async def _make_again(self) -> None:
        """Make the streams anew: the server may have come back with an empty store."""
        self._streams_made = False
        try:
            await self._make_streams()
        except (TimeoutError, OSError, nats.errors.Error) as error:
            _log.warning("streams_not_made", reason=str(error) or type(error).__name__)

    async def _make_streams(self) -> None:
        for domain in DOMAINS:
            name = self._address.stream(domain)
            config = StreamConfig(
                name=name,
                subjects=[self._address.subject(f"{domain}.>")],
                retention=RetentionPolicy.LIMITS,
                discard=DiscardPolicy.OLD,
                storage=StorageType.FILE,
                max_age=STREAM_DAYS_MAX * 24 * 3600,
                max_msgs=STREAM_MESSAGES_MAX,
                max_bytes=self._address.stream_bytes_max,
                duplicate_window=DUPLICATE_SECONDS,
                num_replicas=1,
            )
            try:
                await _cancellable(self._stream_api(MAKES_STREAMS).add_stream(config))
            except nats.js.errors.BadRequestError as error:
                # Made by another hand with other limits: it carries our subjects all the same.
                _log.warning("stream_differs", stream=name, reason=error.description)
        self._streams_made = True


async def _log_error(error: Exception) -> None:
    if "permissions violation" in str(error).lower():
        _log.error("bus_denies", error=str(error))
    else:
        _log.debug("nats", reason=str(error) or type(error).__name__)


async def _cancellable(call: Awaitable[T]) -> T:
    """Await a call of nats-py, which may swallow a cancellation while it flushes: raise it anew."""
    try:
        return await call
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
