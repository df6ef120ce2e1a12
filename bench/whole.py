"""`python -m bench.whole`: from a decision's event on the bus to its order at the venue.

A real `tradesaga serve` with its own Postgres (fsync on) and NATS; the venue and the market data
are this process, over HTTP. Each decision is an event that nobody asked for, so it takes a whole
analysis cycle: account, quotes and positions read, the commits of the cycle, then the order. It is
counted from just before the event is published to the arrival of the order's request.

A decision that had no order when the time was over counts as none, and is told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import msgspec
import nats
from nats.aio.client import Client
from typing_extensions import override
from uuid_utils.compat import uuid7

from bench.kill import RestVenue, ready, serving
from bench.sagas import percentile
from tradesaga.adapters import logging as log_output
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres

SYMBOLS = [f"S{number}" for number in range(50)]
PRICE = 10.0
EQUITY = 1e8
SUBJECT = "ai-trader.ai.decision.generated"
LEFT_SECONDS_MAX = 20.0
SETTINGS = """\
  reconciliation: {cashTolerance: 0}
  cycles: {analysis: {interval: 3600000, maxConcurrent: 64}}
  risk:
    ordersPerMinute: 100000
    ordersPerDay: 100000
    strategyOrdersPerMinute: 100000
    strategyOrdersPerDay: 100000
    entriesPerHour: 100000
    activeOrdersMax: 10000
    entriesPerCycle: 50
    duplicateWindow: 0
    canaryPercent: 100
    repeatsMax: 100000
    profiles: {normal: {positionsMax: 10000}}
"""


@dataclass(slots=True)
class FillingVenue(RestVenue):
    """Fills everything in its answer, quotes every symbol, and notes when each order came."""

    held: dict[str, float] = field(default_factory=dict)
    asked: dict[str, deque[float]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    all_came: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 0

    def expect(self, number: int) -> None:
        """Begin anew: so many orders will come."""
        self.number = number
        self.asked.clear()
        self.waits.clear()
        self.all_came.clear()

    @override
    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        place, _, query = path.partition("?")
        if method == "POST" and place.endswith("/orders"):
            return 200, self._filled(msgspec.json.decode(body))
        if place.endswith("/account"):
            money = {"equity": EQUITY, "cash": EQUITY, "buyingPower": EQUITY}
            return 200, {"accountId": "bench", **money}
        if place.endswith("/positions"):
            return 200, {"positions": [_position(*item) for item in self.held.items()]}
        if place.endswith("/quotes"):
            names = query.removeprefix("symbols=").replace("%2C", ",").split(",")
            return 200, {"quotes": [_quote(name) for name in names]}
        if place.endswith("/market/status"):
            return 200, {"isOpen": True, "asOf": _now()}
        return RestVenue.answer(self, method, path, body)

    def _filled(self, wanted: dict[str, object]) -> object:
        symbol, quantity = str(wanted["symbol"]), float(str(wanted["quantity"]))
        if waiting := self.asked.get(symbol):
            self.waits.append((time.perf_counter() - waiting.popleft()) * 1000)
            if len(self.waits) == self.number:
                self.all_came.set()
        self.held[symbol] = self.held.get(symbol, 0.0) + quantity
        order = {
            **wanted,
            "orderId": f"v-{wanted['clientOrderId']}",
            "status": "filled",
            "filledQuantity": quantity,
            "averageFillPrice": PRICE,
            "createdAt": _now(),
        }
        self.orders[str(order["orderId"])] = order
        return order


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _quote(symbol: str) -> object:
    return {"symbol": symbol, "timestamp": _now(), "price": PRICE, "bid": PRICE, "ask": PRICE}


def _position(symbol: str, quantity: float) -> object:
    return {
        "symbol": symbol,
        "quantity": quantity,
        "side": "long",
        "averageEntryPrice": PRICE,
        "currentPrice": PRICE,
    }


def _event(number: int) -> bytes:
    metadata = {
        "eventId": str(uuid7()),
        "eventType": "ai.decision.generated",
        "timestamp": _now(),
        "source": "bench",
    }
    payload = {
        "decisionId": f"bench-{number}-{time.time_ns()}",
        "symbol": SYMBOLS[number % len(SYMBOLS)],
        "action": "buy",
        "confidence": 0.9,
        "suggestedQuantity": 1,
        "strategyId": "bench",
    }
    return msgspec.json.encode({"metadata": metadata, "payload": payload})


async def decide(
    venue: FillingVenue, bus: Client, per_second: float, number: int, first: int
) -> tuple[list[float], float]:
    """Publish at a steady rate whatever waits; milliseconds, and the seconds until the last."""
    venue.expect(number)
    began = time.perf_counter()
    for place in range(number):
        await asyncio.sleep(max(0.0, began + place / per_second - time.perf_counter()))
        symbol = SYMBOLS[(first + place) % len(SYMBOLS)]
        venue.asked.setdefault(symbol, deque()).append(time.perf_counter())
        await bus.publish(SUBJECT, _event(first + place))
    try:
        async with asyncio.timeout(LEFT_SECONDS_MAX):
            await venue.all_came.wait()
    except TimeoutError:
        print(f"{number - len(venue.waits)} decisions have no order after {LEFT_SECONDS_MAX:.0f} s")
    return sorted(venue.waits), time.perf_counter() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A running orchestrator with an active strategy, its bus and its venue."""

    api: httpx2.AsyncClient
    bus: Client
    venue: FillingVenue
    port: int


@asynccontextmanager
async def running(directory: Path, settings: str = SETTINGS) -> AsyncIterator[Whole]:
    """Start all, and a strategy on every symbol; stop all at the end of the block."""
    postgres, own_nats, venue = EmbeddedPostgres(directory), EmbeddedNats(directory), FillingVenue()
    await postgres.start()
    await own_nats.start()
    try:
        server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
        venue_port = server.sockets[0].getsockname()[1]
        port = 20000 + os.getpid() % 20000
        async with (
            serving(directory, postgres, own_nats, port, venue_port, settings),
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
        ):
            await ready(api, directory)
            strategy = {"name": "bench", "type": "bench", "symbols": SYMBOLS, "active": True}
            made = await api.post("/api/v1/strategies", json=strategy)
            assert made.status_code == 201, made.text
            started = await api.post("/api/v1/agent/start", json={"mode": "normal"})
            assert started.status_code == 200, started.text
            bus = await nats.connect(own_nats.url, token=own_nats.token)
            yield Whole(api=api, bus=bus, venue=venue, port=port)
            await bus.close()
        server.close()
    finally:
        await own_nats.stop()
        await postgres.stop()


async def measure(directory: Path, rates: list[float], seconds: float) -> None:
    """Let decisions arrive at each rate, and print what came of them."""
    async with running(directory) as whole:
        await decide(whole.venue, whole.bus, 5, 10, 0)
        print("a second  decisions  orders   p50 ms   p99 ms   seconds to the last")
        first = 10
        for rate in rates:
            number = max(10, int(rate * seconds))
            waits, took = await decide(whole.venue, whole.bus, rate, number, first)
            first += number
            print(
                f"{rate:8.0f}  {number:9}  {len(waits):6} {percentile(waits, 50):8.1f} "
                f"{percentile(waits, 99):8.1f} {took:10.1f}"
            )


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 200.0])
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each rate")
    options = parser.parse_args()
    log_output.configure(level="ERROR", form="text")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"load of the machine before the run (1, 5, 15 minutes): {load}")
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # on disk, not in memory
    with tempfile.TemporaryDirectory(prefix="tradesaga-whole-", dir=place) as directory:
        Path(directory).chmod(0o711)
        asyncio.run(measure(Path(directory), options.rates, options.seconds))


if __name__ == "__main__":
    main()
