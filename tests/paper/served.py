"""The simulated neighbours on the run's NATS server, in this loop or as a process to be killed.

`python -m tests.paper.served STATE_DIR NATS_URL TOKEN PREFIX SPEED` prints its addresses as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import nats
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from tradesaga.paper.bus import DOMAINS, BusAddress
from tradesaga.paper.process import run_paper
from tradesaga.paper.settings import Endpoints, PaperSettings

SECONDS_MAX = 10
TRADING, MARKET, DECISIONS = "trading", "market", "decisions"
BUY = {"symbol": "SPY", "side": "buy", "quantity": 10, "type": "market"}
_encode = msgspec.json.Encoder(decimal_format="number").encode


def settings_of(state_dir: Path, url: str, token: str, prefix: str, speed: float) -> PaperSettings:
    """Quick and ungoverned, on ports that the system chooses."""
    return PaperSettings(
        state_dir=state_dir,
        nats_url=url,
        nats_token=token,
        subject_prefix=prefix,
        speed=speed,
        governor=False,
        trading_engine_port=0,
        ai_decision_port=0,
        market_data_port=0,
        heartbeat_seconds=0.2,
        stream_bytes_max=1024 * 1024,  # many tests share one server
    )


class Client:
    """HTTP to the three services; answers are decoded without binary fractions."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.bases = {
            "trading": endpoints.trading_engine,
            "decisions": endpoints.ai_decision,
            "market": endpoints.market_data,
        }
        self._http = httpx2.AsyncClient(timeout=SECONDS_MAX, trust_env=False)

    async def call(
        self, service: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and body of a request; `path` without `/api/v1`."""
        root = self.bases[service]
        under = "" if path.startswith(("/health", "/paper")) else "/api/v1"
        content = None if body is None else _encode(body)
        reply = await self._http.request(
            method, root + under + path, content=content, headers=headers
        )
        return reply.status_code, json.loads(reply.content, parse_float=Decimal)

    async def fault(self, service: str, **fault: Any) -> None:
        """Order a fault."""
        status, told = await self.call(service, "POST", "/paper/faults", fault)
        assert status == 201, told

    async def until(self, service: str, path: str, condition: Any, seconds: float = 10) -> Any:
        """The first answer that meets the condition."""
        async with asyncio.timeout(seconds):
            while True:
                status, body = await self.call(service, "GET", path)
                if status == 200 and condition(body):
                    return body

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Heard:
    """Every event on the bus, in the order of arrival."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    async def take(self, message: Msg) -> None:
        self.events.append(json.loads(message.data))
        self._more.set()

    def of(self, kind: str, **payload: Any) -> list[dict[str, Any]]:
        """The events of a type whose payload has these values."""
        return [
            event
            for event in self.events
            if event["metadata"]["eventType"] == kind
            and all(event["payload"].get(name) == value for name, value in payload.items())
        ]

    async def wait(self, kind: str, count: int = 1, **payload: Any) -> list[dict[str, Any]]:
        """The same, as soon as there are that many."""
        async with asyncio.timeout(SECONDS_MAX):
            while len(found := self.of(kind, **payload)) < count:
                self._more.clear()
                await self._more.wait()
        return found


async def filled(client: Client, order_id: str) -> Any:
    """The order, as soon as it is filled."""
    return await client.until(
        TRADING, f"/orders/{order_id}", lambda order: order["status"] == "filled"
    )


@asynccontextmanager
async def hearing(url: str, token: str, prefix: str) -> AsyncIterator[tuple[Heard, NatsClient]]:
    """Listen to everything below a prefix."""
    client = await nats.connect(url, token=token)
    heard = Heard()
    try:
        await client.subscribe(f"{prefix}.>", cb=heard.take)
        yield heard, client
    finally:
        for domain in DOMAINS:
            name = BusAddress(url=url, prefix=prefix).stream(domain)
            with contextlib.suppress(NotFoundError):
                await client.jetstream().delete_stream(name)
        await client.close()


@asynccontextmanager
async def served(settings: PaperSettings) -> AsyncIterator[Client]:
    """Run them in this loop."""
    stop = asyncio.Event()
    ready: asyncio.Future[Endpoints] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_paper(settings, stop, ready.set_result))
        client = Client(await ready)
        try:
            yield client
        finally:
            await client.close()
            stop.set()


async def _main(state_dir: str, url: str, token: str, prefix: str, speed: str) -> None:
    def tell(endpoints: Endpoints) -> None:
        sys.stdout.write(json.dumps(asdict(endpoints)) + "\n")
        sys.stdout.flush()

    settings = settings_of(Path(state_dir), url, token, prefix, float(speed))
    await run_paper(settings, asyncio.Event(), tell)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
