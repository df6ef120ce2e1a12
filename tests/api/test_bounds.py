"""What a client may hold or send: heads, bodies, levels, connections, and time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.api.fake_access import ADMIN
from tests.api.fakes import Api
from tests.api.serving import served
from tests.api.test_problems import is_problem
from tradesaga.api import connections, gate
from tradesaga.api.connections import BoundedProtocol
from tradesaga.api.requests import BODY_DEPTH_MAX

HEAD = f"Host: localhost\r\nAuthorization: Bearer {ADMIN}\r\n".encode()


async def opened(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))


async def cut(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, however it ends."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


async def test_a_body_has_bounded_levels(api: Api) -> None:
    deep = await api.client.post("/api/v1/agent/stop", json={"reason": nested(BODY_DEPTH_MAX)})
    assert "levels" in is_problem(deep, 400, "malformed-body")["detail"]
    flat = await api.client.post("/api/v1/agent/stop", json={"reason": nested(BODY_DEPTH_MAX - 1)})
    is_problem(flat, 400, "invalid-request")
    assert api.operations.calls == []


async def test_a_head_has_bounded_headers_and_a_bounded_path(api: Api) -> None:
    many = {f"x-{number}": "y" for number in range(gate.HEADERS_MAX)}
    is_problem(await api.client.get("/health", headers=many), 431, "headers-too-large")
    long = await api.client.get(f"/api/v1/cycles?cursor={'x' * gate.URL_BYTES_MAX}")
    is_problem(long, 431, "headers-too-large")


async def test_a_head_without_end_is_cut(api: Api) -> None:
    async with served(api.app) as address:
        reader, writer = await opened(address)
        writer.write(b"GET /livez HTTP/1.1\r\n")
        writer.write(b"x-padding: " + b"y" * connections.HEAD_BYTES_MAX)
        assert await cut(reader) == b""
        writer.close()


async def test_a_head_that_dribbles_is_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS_MAX", 0.05)
    async with served(api.app) as address:
        for first in (b"", b"GET /livez HTTP/1.1\r\nHost: loc"):
            reader, writer = await opened(address)
            writer.write(first)
            assert await cut(reader) == b""
            writer.close()


async def test_a_second_request_of_a_connection_has_its_own_patience(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS_MAX", 0.2)
    async with served(api.app) as address:
        reader, writer = await opened(address)
        for _ in range(2):
            writer.write(b"GET /livez HTTP/1.1\r\n" + HEAD + b"\r\n")
            assert b"200 OK" in await reader.readuntil(b"ok\n")
        writer.write(b"GET /livez HTTP/1.1\r\nHost")
        assert await cut(reader) == b""
        writer.close()


async def test_a_body_that_dribbles_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS_MAX", 0.05)
    async with served(api.app) as address:
        reader, writer = await opened(address)
        said = b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
        writer.write(b"POST /api/v1/agent/stop HTTP/1.1\r\n" + HEAD + said)
        assert b"400 Bad Request" in await reader.readuntil(b"\r\n")
        writer.close()
    assert api.operations.calls == []


async def test_one_address_cannot_hold_every_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "OF_ONE_ADDRESS_MAX", 3)
    async with served(api.app) as address:
        kept = [await opened(address) for _ in range(3)]
        for _, writer in kept:
            writer.write(b"GET /livez HTTP/1.1\r\n")
        reader, writer = await opened(address)
        assert await cut(reader) == b""
        kept.append((reader, writer))
        for _, writer in kept:
            writer.close()
    assert BoundedProtocol._held.total() == 0


async def test_ready_and_started(api: Api) -> None:
    del api.client.headers["Authorization"]
    assert (await api.client.get("/readyz")).json() == {
        "status": "ready", "database": "connected", "role": "leader"
    }  # fmt: skip
    api.operations.ready = replace(api.operations.ready, recovered=False)
    assert (await api.client.get("/readyz")).status_code == 200
    assert (await api.client.get("/startupz")).status_code == 503
    api.operations.ready = replace(api.operations.ready, leads=False, recovered=True)
    assert (await api.client.get("/startupz")).json()["role"] == "standby"
    api.operations.ready = replace(api.operations.ready, database=False)
    for probe in ("/readyz", "/startupz"):
        answer = await api.client.get(probe)
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
