"""One neighbour over HTTP: bounded in time and size, and every failure in our own words.

    no connection, connection lost, 5xx, 429, unreadable answer   Unavailable
    no answer in time                                             DeadlineExceeded
    a 4xx                                                         the caller reads it

Nothing is repeated here: whether a repeat is safe is for the saga to know. The proxy variables of
the environment are not followed, nor are redirects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.connections import Connections
from tradesaga.adapters.http.pace import UNPACED, Pace
from tradesaga.adapters.http.trace import asked_about, trace_headers
from tradesaga.adapters.http.transport import Answer, Leave, Origin, Request, Transport
from tradesaga.domain.errors import DeadlineExceeded, Throttled, Unavailable
from tradesaga.ports.services import Health
from tradesaga.ports.tracing import UNTRACED, SpanKind, Tracer

T = TypeVar("T")

API = "/api/v1"
HEADERS: Mapping[str, str] = MappingProxyType(
    {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tradesaga"}
)
HEADERS_WITH_BODY: Mapping[str, str] = MappingProxyType(
    {**HEADERS, "Content-Type": "application/json"}
)
ANSWER_BYTES_MAX = 8 * 1024 * 1024
TOO_MANY = 429
_OWN_TROUBLE = frozenset({408, 425, TOO_MANY})
"""4xx that say nothing about the request."""
_NO_BUS = "in-memory mode"
_PATH_SAFE = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer in full: 2xx, or a 4xx about the request itself. `date` is its header's text."""

    status: int
    body: bytes
    date: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the neighbour did what was asked."""
        return 200 <= self.status < 300


class _Health(msgspec.Struct):
    status: str
    checks: dict[str, Any] = {}


class ServiceClient:
    """A pool of connections to one service; `url` has no path, `time_max` bounds each call."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        time_max: timedelta,
        pace: Pace = UNPACED,
        circuit: Circuit | None = None,
        transport: Transport | None = None,
        tracer: Tracer = UNTRACED,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self.name = name
        self._tracer = tracer
        self._bytes_max = bytes_max
        self._pace = pace
        self._circuit = circuit
        self._seconds_max = time_max.total_seconds()
        self._origin = Origin.of(url)
        self._prefix = urlsplit(url).path.rstrip("/")
        self._transport = transport or Connections()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        leave: Leave | None = None,
        urgent: bool = False,
        essential: bool = False,
    ) -> Reply:
        """One request, one answer; `leave` is asked when its first byte is about to go.

        `urgent`: it reduces risk, and may take of the rate limit's reserve. That and what is
        `essential` is asked also while the breaker is open.

        Raises:
            NotSent: `leave` said why not; as Throttled, the rate limit or the breaker does.
            Unavailable, DeadlineExceeded: as the module says; it may have had its effect.
        """
        if self._circuit is not None and not (urgent or essential):
            self._circuit.permit()
        await self._pace.token(urgent=urgent)
        reply = await self._judged(method, API + path, params=params, body=body, leave=leave)
        if reply.status == TOO_MANY:
            self._pace.told()
        if not (reply.is_success or 400 <= reply.status < 500) or reply.status in _OWN_TROUBLE:
            raise Unavailable(f"{self.name} answers {reply.status} to {method} {path}")
        return reply

    async def read(
        self,
        path: str,
        form: type[T],
        params: Mapping[str, str] | None = None,
        *,
        urgent: bool = False,
        essential: bool = False,
    ) -> T:
        """GET and decode.

        Raises:
            Unavailable, DeadlineExceeded: no usable answer, 4xx and a lack of tokens included.
        """
        reply = await self.look("GET", path, params=params, urgent=urgent, essential=essential)
        if not reply.is_success:
            raise Unavailable(f"{self.name} answers {reply.status} to GET {path}")
        return self.decode(reply, form)

    def decode(self, reply: Reply, form: type[T]) -> T:
        """The body as `form`, numbers without a float between. Raises Unavailable."""
        try:
            return msgspec.json.decode(reply.body, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"{self.name} gives an unreadable answer: {error}") from error

    async def look(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        urgent: bool = False,
        essential: bool = False,
    ) -> Reply:
        """As `call`, where it makes no difference whether the request was sent.

        Raises:
            Unavailable, DeadlineExceeded: no answer, or no token.
        """
        try:
            return await self.call(
                method, path, params=params, body=body, urgent=urgent, essential=essential
            )
        except Throttled as error:
            raise Unavailable(str(error)) from error

    async def health(self) -> Health:
        """What it says of itself; never raises."""
        try:
            reply = await self._send("GET", "/health")
        except (Unavailable, DeadlineExceeded):
            return Health.UNREACHABLE
        try:
            said = self.decode(reply, _Health)
            state = Health(said.status.lower())
        except (Unavailable, ValueError):
            return Health.UNHEALTHY
        if state is Health.UNREACHABLE or not (reply.is_success or state is Health.DEGRADED):
            return Health.UNHEALTHY
        if state is Health.HEALTHY and (_works_without_bus(said.checks) or self._is_left_alone()):
            return Health.DEGRADED
        return state

    def _is_left_alone(self) -> bool:
        """Whether the breaker stands against its own good word; the next request finds out."""
        if self._circuit is None or self._circuit.is_closed:
            return False
        self._circuit.seems_well()
        return True

    async def page(self, path: str) -> Reply:
        """What stands at a path outside of the API. Raises as `call`."""
        return await self._send("GET", path)

    async def look_at_health(self) -> Reply:
        """What it answers about its health, whatever that is. Raises as `call`."""
        return await self._send("GET", "/health")

    async def date(self) -> str:
        """The Date of an answer, as it stands there; empty without one. Raises as `call`."""
        return (await self._send("GET", "/health")).date

    async def _judged(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        body: bytes | None,
        leave: Leave | None,
    ) -> Reply:
        """As `_send`, and the breaker hears of the outcome; what was not sent has none."""
        try:
            reply = await self._send(method, path, params=params, body=body, leave=leave)
        except (Unavailable, DeadlineExceeded):
            if self._circuit is not None:
                self._circuit.failed()
            raise
        if self._circuit is not None and reply.status not in _OWN_TROUBLE:
            if reply.status >= 500:
                self._circuit.failed()
            else:
                self._circuit.succeeded()
        return reply

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        leave: Leave | None = None,
    ) -> Reply:
        about = asked_about()
        with self._tracer.span(
            "http.request", kind=SpanKind.CLIENT, about=about, service=self.name, method=method
        ) as span:
            reply = await self._sent(method, path, params, body, leave, about)
            span.note(status_code=reply.status)
            return reply

    async def _sent(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        leave: Leave | None,
        about: str | None,
    ) -> Reply:
        query = "" if params is None else f"?{urlencode(params)}"
        request = Request(
            origin=self._origin,
            method=method,
            target=f"{quote(self._prefix + path, safe=_PATH_SAFE)}{query}",
            headers={
                **(HEADERS if body is None else HEADERS_WITH_BODY),
                **trace_headers(about, self._tracer.here()),
            },
            body=body,
            leave=leave,
            bytes_max=self._bytes_max,
        )
        try:
            async with asyncio.timeout(self._seconds_max):
                answer = await self._transport.send(request)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{self.name} gives no answer to {method} {path} within {self._seconds_max:g} s"
            ) from error
        except OSError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"{self.name} gives no answer to {method} {path}: {reason}"
            ) from error
        self._refuse_packed(answer)
        date = answer.headers.get("date", "")
        return Reply(status=answer.status, body=answer.body, date=date)

    def _refuse_packed(self, answer: Answer) -> None:
        coding = answer.headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            raise Unavailable(f"{self.name} packs its answer as {coding}, which was not asked for")


def _works_without_bus(checks: Mapping[str, Any]) -> bool:
    """Whether the service has lost the bus and talks to itself, which it calls healthy."""
    check = checks.get("eventbus") or checks.get("eventBus")
    said = check.get("message", "") if isinstance(check, dict) else check
    return _NO_BUS in str(said).lower()
