"""The server on a real socket: how it starts, refuses to start, and ends."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx2
import pytest

from tests.api.fake_access import ADMIN, ADMIN_HEADER
from tests.api.fakes import Api
from tests.api.serving import served
from tradesaga.api.server import serve
from tradesaga.domain.errors import Invalid, Unavailable

AUTHORIZATION = f"Authorization: Bearer {ADMIN}\r\n\r\n".encode()


def never(address: str) -> None:
    raise AssertionError(f"ready at {address}")


async def test_it_answers_until_it_is_stopped(api: Api) -> None:
    async with (
        served(api.app) as address,
        httpx2.AsyncClient(base_url=address, headers=ADMIN_HEADER) as client,
    ):
        assert (await client.get("/livez")).text == "ok\n"
        response = await client.post("/api/v1/agent/stop", json={"reason": "done"})
        assert response.json()["status"] == "stopped"
        assert "server" not in response.headers
    async with httpx2.AsyncClient(base_url=address) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("/livez")


async def test_it_leaves_the_signals_to_the_owner_of_the_process(api: Api) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with served(api.app):
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert during == before


async def test_a_port_that_is_taken_is_told_with_a_remedy(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1 port {port}.*--port"):
            await serve(api.app, "127.0.0.1", port, ready=never, stop=asyncio.Event())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
async def test_it_does_not_open_itself_to_other_machines(api: Api, host: str) -> None:
    with pytest.raises(Invalid, match="--host"):
        await serve(api.app, host, 0, ready=never, stop=asyncio.Event())


async def test_it_opens_itself_when_told_in_so_many_words(api: Api) -> None:
    stop = asyncio.Event()
    addresses: list[str] = []

    def ready(address: str) -> None:
        addresses.append(address)
        stop.set()

    await serve(api.app, "0.0.0.0", 0, ready=ready, stop=stop, allow_remote=True)
    assert addresses[0].startswith("http://0.0.0.0:")


async def test_a_request_that_never_ends_does_not_keep_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def endless() -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(api.operations, "status", endless)
    async with asyncio.timeout(5):
        async with served(api.app) as address:
            port = int(address.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET /api/v1/agent/status HTTP/1.1\r\nHost: localhost\r\n" + AUTHORIZATION
            )
            await asked.wait()
        writer.close()


async def test_cancelling_it_frees_the_port(api: Api) -> None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(
            serve(api.app, "127.0.0.1", 0, ready=address.set_result, stop=asyncio.Event())
        )
        port = int((await address).rpartition(":")[2])
        serving.cancel()
    with socket.create_server(("127.0.0.1", port)):
        pass
