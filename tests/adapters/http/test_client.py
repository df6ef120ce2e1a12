"""The HTTP clients against a real socket, and the words of health."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from structlog.contextvars import bound_contextvars

from tests.adapters.http.conftest import ORDER, Service, StandingClock
from tradesaga.adapters.http.decision_service import HttpDecisionService
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.domain.errors import DeadlineExceeded, Unavailable
from tradesaga.domain.orders import OrderStatus
from tradesaga.ports.services import Capabilities, Health

ACCEPTED = b'{"orderId":"ord_1","status":"accepted"}'
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    """A server on a free port that treats every connection as `handle` says."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone: some tests want just that
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def engine(url: str, time_max: timedelta = timedelta(seconds=5)) -> HttpTradingEngine:
    capabilities = Capabilities(
        dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=30)
    )
    return HttpTradingEngine(
        url=url, time_max=time_max, capabilities=capabilities, clock=StandingClock()
    )


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))


@pytest.mark.parametrize("decision_id", [None, "01a208eb-c980-7c98-8b54-ae7350cbfd50"])
async def test_a_request_for_a_decision_says_so(decision_id: str | None) -> None:
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n" % len(ACCEPTED))
        writer.write(ACCEPTED)
        await writer.drain()

    bound = {} if decision_id is None else {"correlation_id": decision_id}
    async with serving(handle) as url:
        venue = engine(url)
        with bound_contextvars(**bound):
            await venue.submit(ORDER)
        await venue.close()
    [head] = heads
    if decision_id is None:
        assert "x-correlation-id" not in head
        assert "traceparent" not in head
    else:
        assert f"\r\nx-correlation-id: {decision_id}\r\n" in head
        assert re.search(
            r"\r\ntraceparent: 00-01a208ebc9807c988b54ae7350cbfd50-[0-9a-f]{16}-00\r\n", head
        )


async def test_one_connection_serves_many_calls() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n" % len(ACCEPTED))
            writer.write(ACCEPTED)
            await writer.drain()

    async with serving(handle) as url:
        venue = engine(url)
        for _ in range(3):
            assert (await venue.submit(ORDER)).status is OrderStatus.WORKING
        await venue.close()
    assert connections == 1


async def test_nobody_listens() -> None:
    venue = engine("http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        await venue.submit(ORDER)
    assert await venue.health() is Health.UNREACHABLE
    await venue.close()


async def test_the_answer_is_lost_after_the_request_was_read() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with serving(handle) as url:
        venue = engine(url)
        with pytest.raises(Unavailable):
            await venue.submit(ORDER)
        await venue.close()


async def test_an_answer_in_drops_does_not_outlast_the_deadline() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):  # each drop comes well within the limit of a single read
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(handle) as url:
        venue = engine(url, timedelta(milliseconds=200))
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await venue.submit(ORDER)
        assert asyncio.get_running_loop().time() - started < 2
        await venue.close()


async def test_an_answer_without_end_is_cut_off() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n")
        while True:
            writer.write(b" " * 1_000_000)
            await writer.drain()

    async with serving(handle) as url:
        venue = engine(url)
        with pytest.raises(Unavailable, match="bytes"):
            await venue.positions()
        await venue.close()


@pytest.mark.parametrize(
    ("status", "body", "health"),
    [
        (200, {"status": "healthy"}, Health.HEALTHY),
        (200, {"status": "healthy", "checks": {"database": "connected"}}, Health.HEALTHY),
        (200, {"status": "degraded"}, Health.DEGRADED),
        (503, {"status": "degraded"}, Health.DEGRADED),
        (503, {"status": "unhealthy"}, Health.UNHEALTHY),
        (200, {"status": "unhealthy"}, Health.UNHEALTHY),
        (503, {"status": "healthy"}, Health.UNHEALTHY),  # the code is the harder word
        (500, b"", Health.UNHEALTHY),
        (404, b"<html>", Health.UNHEALTHY),
        (200, {"status": "splendid"}, Health.UNHEALTHY),
        (200, {"status": "unreachable"}, Health.UNHEALTHY),
        (
            200,
            {"status": "healthy", "checks": {"eventbus": {"message": "In-memory mode"}}},
            Health.DEGRADED,
        ),
    ],
)
async def test_health(status: int, body: Any, health: Health) -> None:
    service = Service()
    service.on("GET /health", body, status)
    decisions = HttpDecisionService(
        url="http://x", time_max=timedelta(seconds=1), transport=service.transport
    )
    assert await decisions.health() is health
    await decisions.close()


async def test_late_health_is_unreachable() -> None:
    service = Service()
    service.on("GET /health", httpx2.ReadTimeout("late"))
    decisions = HttpDecisionService(
        url="http://x", time_max=timedelta(seconds=1), transport=service.transport
    )
    assert await decisions.health() is Health.UNREACHABLE


async def test_the_environments_proxy_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"status":"healthy"}')
        await writer.drain()

    async with serving(handle) as url:
        venue = engine(url)
        assert await venue.health() is Health.HEALTHY
        await venue.close()


async def test_a_path_of_the_address_is_sent_encoded() -> None:
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"status":"healthy"}')
        await writer.drain()

    async with serving(handle) as url:
        venue = engine(f"{url}/börse a%2Fb/")
        assert await venue.health() is Health.HEALTHY
        await venue.close()
    [head] = heads
    assert head.startswith(b"GET /b%C3%B6rse%20a%2Fb/health HTTP/1.1\r\n")
