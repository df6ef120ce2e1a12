"""Continuous pulling from one durable consumer: messages come as they arrive, never in batches.

The library's `fetch(n)` holds back what has come until n messages or its timeout, and `fetch(1)`
costs a round trip a message. Here one request of `BATCH` messages stands open; when it is used up
or over, the next one is made. The server says that it lives every `HEARTBEAT`; silence, a deleted
consumer or any other refusal raises, and the caller starts anew from the connection up.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec
from nats.js import api

from tradesaga.domain.errors import Unavailable

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from tradesaga.adapters.nats.link import Link

BATCH = 64
EXPIRES = timedelta(seconds=30)
HEARTBEAT = timedelta(seconds=5)
SILENCE_SECONDS_MAX = 12.0
_REQUEST = msgspec.json.encode(
    {
        "batch": BATCH,
        "expires": int(EXPIRES.total_seconds()) * 1_000_000_000,
        "idle_heartbeat": int(HEARTBEAT.total_seconds()) * 1_000_000_000,
    }
)


class _Kind(Enum):
    MESSAGE = auto()
    ALIVE = auto()
    OVER = auto()


async def pull(link: Link, *, stream: str, consumer: str) -> AsyncGenerator[Msg]:
    """Yield the consumer's messages for ever; the caller acknowledges each by its reply subject.

    Raises:
        Unavailable: the consumer is gone, or nothing was heard for `SILENCE_SECONDS_MAX`.
        nats.errors.Error: the connection is lost.
    """
    arrived: asyncio.Queue[Msg] = asyncio.Queue()  # holds BATCH and a few heartbeats at most

    async def on_message(message: Msg) -> None:
        arrived.put_nowait(message)

    inbox = link.client.new_inbox()
    await link.client.subscribe(f"{inbox}.*", cb=on_message)
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
    for number in itertools.count():
        await link.client.publish(subject, _REQUEST, reply=f"{inbox}.{number}")
        left = BATCH
        while left:
            message = await _next(arrived, consumer)
            match _kind_of(message, f"{inbox}.{number}", consumer):
                case _Kind.MESSAGE:
                    left -= 1
                    yield message
                case _Kind.ALIVE:
                    continue
                case _Kind.OVER:
                    break


async def _next(arrived: asyncio.Queue[Msg], consumer: str) -> Msg:
    try:
        async with asyncio.timeout(SILENCE_SECONDS_MAX):
            return await arrived.get()
    except TimeoutError as error:
        raise Unavailable(f"consumer {consumer} is silent") from error


def _kind_of(message: Msg, request: str, consumer: str) -> _Kind:
    headers = message.headers or {}
    status = headers.get(api.Header.STATUS)
    if status is None:
        return _Kind.MESSAGE
    if status == api.StatusCode.CONTROL_MESSAGE or message.subject != request:
        return _Kind.ALIVE  # the last words of a request that is used up come late
    if status in (api.StatusCode.NO_MESSAGES, api.StatusCode.REQUEST_TIMEOUT):
        return _Kind.OVER
    said = headers.get(api.Header.DESCRIPTION) or ""
    raise Unavailable(f"consumer {consumer} answers {status} {said}".rstrip())
