"""Our events as server-sent events: resumable, bounded, and as private as every other route.

The id of an event is its place in the log, so a client that comes back with Last-Event-ID misses
nothing, however long it was away; without it the stream begins now. Nothing is kept for a client:
it is read from the log as fast as the client takes it, and who takes nothing for a while is cut off
by the gate. A token that is revoked ends its streams.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter, SkipValidation
from litestar.response import Stream

from tradesaga.api.answers import stamp
from tradesaga.api.doorman import bearer_of
from tradesaga.api.problem_kinds import TOO_MANY
from tradesaga.api.problems import Refusal, failures, invalid, shown
from tradesaga.api.scopes import caller_in
from tradesaga.api.tokens import TokensPort
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.event_feed import EventFeed
from tradesaga.ports.records import OutboxRow

FeedPort = NamedDependency[SkipValidation[EventFeed]]
MEDIA_TYPE: Final = "text/event-stream"
LOOK_SECONDS: Final = 0.25
QUIET_SECONDS_MAX: Final = 15.0
"""Then a comment is sent, so that proxies and clients know that the stream lives."""
AT_ONCE: Final = 100
OF_ONE_TOKEN_MAX: Final = 8
STREAMS_MAX: Final = 64
SEQUENCE_MAX: Final = 2**63 - 1
_open: Counter[str] = Counter()


@get(
    "/events",
    operation_id="streamEvents",
    summary="Follow the events",
    media_type=MEDIA_TYPE,
    responses={
        200: ResponseSpec(
            str, description="server-sent events", media_type=MEDIA_TYPE, generate_examples=False
        ),
        **failures(400, 503),
    },
    tags=["events"],
)
async def stream_events(
    request: Request[Any, Any, Any],
    feed: FeedPort,
    access: TokensPort,
    event_type: Annotated[
        str | None,
        QueryParameter(name="type", description="only events whose type begins so"),
    ] = None,
) -> Stream:
    """Every event from now on, or after the one that Last-Event-ID names."""
    caller = caller_in(request.scope["state"])
    token_id = "" if caller is None else caller.token_id
    if _open[token_id] >= OF_ONE_TOKEN_MAX or _open.total() >= STREAMS_MAX:
        raise Refusal(TOO_MANY, "too many streams are open", headers={"Retry-After": "10"})
    last = request.headers.get("last-event-id")
    after = await feed.latest() if last is None else _sequence(last)
    secret = bearer_of(request.headers.get("authorization")) or ""
    lines = _lines(feed, access, secret, after, event_type or "")
    headers = {"X-Accel-Buffering": "no"}
    return Stream(_counted(lines, token_id), media_type=MEDIA_TYPE, headers=headers)


async def _counted(lines: AsyncIterator[bytes], token_id: str) -> AsyncIterator[bytes]:
    _open[token_id] += 1
    try:
        async for line in lines:
            yield line
    finally:
        _open[token_id] -= 1
        if not _open[token_id]:
            del _open[token_id]


async def _lines(
    feed: EventFeed, access: TokensPort, secret: str, after: int, prefix: str
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    quiet = 0.0
    while access.caller(secret, check=False) is not None:
        try:
            rows = await feed.since(after, limit=AT_ONCE)
        except Unavailable:
            return  # the client comes back with the id of the last one that it had
        for row in rows:
            after = row.sequence
            if row.type.startswith(prefix):
                quiet = 0.0
                yield event_text(row)
        if not rows:
            await _wait(LOOK_SECONDS)
            quiet += LOOK_SECONDS
        if quiet >= QUIET_SECONDS_MAX:
            quiet = 0.0
            yield b": nothing new\n\n"


def event_text(row: OutboxRow) -> bytes:
    """One event; the data is the platform's envelope in one line."""
    metadata = {
        "eventId": row.event_id,
        "eventType": row.type,
        "timestamp": stamp(row.at),
        "source": "orchestrator",
        "version": "1.0",
        "correlationId": row.correlation_id,
        "causationId": row.causation_id,
    }
    known = {name: value for name, value in metadata.items() if value is not None}
    data = msgspec.json.encode({"metadata": known, "payload": msgspec.Raw(row.payload)})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.sequence, row.type.encode(), data)


def _sequence(last_event_id: str) -> int:
    if not (last_event_id.isascii() and last_event_id.isdigit()):
        raise invalid([f"Last-Event-ID is {shown(last_event_id)}: it takes the id of an event"])
    return min(int(last_event_id[:20]), SEQUENCE_MAX)


async def _wait(seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        return
