"""The kill switch under a busy sender: `python -m bench.kill busy`.

Intents are committed beforehand, then their sagas are begun one after the other, 400 a second, at a
venue that takes 20 ms for each order. Postgres is stopped with SIGSTOP while they go on (no bus is
there at all), the switch is thrown with requests under way, and the sender goes on trying.
The venue notes when the head of each request arrives; it shares the event loop with the sender, so
what it sees late counts against the product.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from bench.product import AGENT, Product, product
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.domain.ladder import EVERYWHERE
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.engine.kill_sweep import KillSweep
from tradesaga.engine.kill_switch import KillSwitch
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.ports.services import Capabilities

ROUNDS = 10
INTENTS = 250
SEND_EVERY_SECONDS = 0.0025
ANSWER_SECONDS = 0.02
FREEZE_AT_SENDS = 60
THROW_AT_SENDS = 100
VERDICT_SECONDS_MAX = 7.0


@dataclass(slots=True)
class SlowVenue:
    """Takes orders slowly and cancels at once; `sends` and `cancels` are when each arrived."""

    orders: dict[str, dict[str, object]] = field(default_factory=dict)
    sends: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)
    under_way: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                arrived = time.monotonic()
                method, path, _ = (part.decode() for part in head.split(b" ", 2))
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                status, said = await self._answer(method, path, body, arrived)
                answer = msgspec.json.encode(said)
                lines = (
                    f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n"
                )
                writer.write(lines.encode() + answer)
        writer.close()

    async def _answer(
        self, method: str, path: str, body: bytes, arrived: float
    ) -> tuple[int, object]:
        if method == "POST":
            self.sends.append(arrived)
            self.under_way += 1
            await asyncio.sleep(ANSWER_SECONDS)
            self.under_way -= 1
            told = msgspec.json.decode(body)
            venue_id = f"v-{len(self.orders)}"
            self.orders[venue_id] = told | {
                "orderId": venue_id, "status": "accepted", "filledQuantity": 0,
            }  # fmt: skip
            return 201, self.orders[venue_id]
        known = self.orders.get(path.partition("?")[0].rpartition("/")[2])
        if known is None:
            return (200, {"orders": list(self.orders.values())}) if method == "GET" else (404, {})
        if method == "DELETE":
            self.cancels.append(arrived)
            known["status"] = "canceled"
        return 200, known


def switch_of(made: Product, venue: HttpTradingEngine, gate: SendGate) -> KillSwitch:
    """The product's kill switch over the desk."""
    metrics = PrometheusMetrics(version="bench", now=made.clock.now)
    parts = {"scribe": made.scribe, "records": made.records, "clock": made.clock}
    return KillSwitch(
        agent_id=AGENT,
        desk=made.desk,
        book=StrategyBook(**parts, agent_id=AGENT),  # type: ignore[arg-type]  # one dict for both
        ladder=LadderState(**parts, metrics=metrics, agent_id=AGENT),  # type: ignore[arg-type]  # as above
        gate=gate,
        sweeper=KillSweep(venue=venue, clock=made.clock),
        marks=None,
        clock=made.clock,
        metrics=metrics,
    )


async def one_round(dsn: str, server_pids: Sequence[int]) -> Mapping[str, float]:
    """Throw it once; seconds from the throw, and how many requests were under way then."""
    slow, gate = SlowVenue(), SendGate()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with product(dsn) as made:
        venue = HttpTradingEngine(
            url=f"http://127.0.0.1:{port}", time_max=timedelta(seconds=10), clock=made.clock,
            capabilities=Capabilities(
                dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=1),
                dedupe_ttl=None, looks_up=True, cancel_on_disconnect=False,
            ),
            refusal_to_send=gate.refusal,
        )  # fmt: skip
        actions = TradeActions(
            venue=venue, clock=made.clock, leadership=made.leadership,
            refusal_to_send=gate.refusal,
        )  # fmt: skip
        runner = SagaRunner(desk=made.desk, actions=actions, clock=made.clock)
        trades = [await made.begun() for _ in range(INTENTS)]
        switch = switch_of(made, venue, gate)
        try:
            async with asyncio.TaskGroup() as group:
                sweeping = group.create_task(switch.run())
                sending = group.create_task(_send(runner, trades))
                await _until(slow, FREEZE_AT_SENDS)
                for pid in server_pids:
                    os.kill(pid, signal.SIGSTOP)
                await _until(slow, THROW_AT_SENDS)
                found = await _thrown(switch, slow)
                sending.cancel()
                sweeping.cancel()
        finally:
            for pid in server_pids:
                os.kill(pid, signal.SIGCONT)
        await venue.close()
    server.close()
    return found


async def _send(runner: SagaRunner, trades: Sequence[OpenTrade]) -> None:
    """Begin a saga each 2.5 ms, whatever becomes of those before; for ever."""
    async with asyncio.TaskGroup() as sagas:
        for trade in trades:
            sagas.create_task(runner.run(trade))
            await asyncio.sleep(SEND_EVERY_SECONDS)


async def _until(slow: SlowVenue, sends: int) -> None:
    while len(slow.sends) < sends:  # noqa: ASYNC110 -- the venue only counts
        await asyncio.sleep(0.001)


async def _thrown(switch: KillSwitch, slow: SlowVenue) -> Mapping[str, float]:
    thrown, under_way = time.monotonic(), slow.under_way
    await switch.kill(EVERYWHERE, reason="bench", who="bench")
    answered = time.monotonic()
    assert switch._last is not None
    sweep, deadline = switch._last[1], thrown + VERDICT_SECONDS_MAX
    while sweep.ended is None and time.monotonic() < deadline:  # noqa: ASYNC110 -- it has no event
        await asyncio.sleep(0.005)
    done = time.monotonic()
    live = [order for order in slow.orders.values() if order["status"] != "canceled"]
    after = [at - thrown for at in slow.sends if at > thrown]
    return {
        "under way": under_way,
        "orders at the venue": len(slow.orders),
        "left working": len(live),
        "escalated": len(sweep.unresolved),
        "sends after the answer": sum(1 for at in slow.sends if at > answered),
        "last send": max(after, default=0.0),
        "answer": answered - thrown,
        "cancels out": max(slow.cancels, default=float("inf")) - thrown,
        "verdict or escalation": done - thrown if sweep.ended is not None else float("inf"),
    }


async def run(rounds: int = ROUNDS) -> Sequence[Mapping[str, float]]:
    """All rounds over one embedded Postgres."""
    with tempfile.TemporaryDirectory(prefix="tradesaga-kill-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # noqa: ASYNC240 -- nothing else runs yet
        postgres = EmbeddedPostgres(directory)
        await postgres.start()
        try:
            await migrate(postgres.dsn, schema=SCHEMA)
            pid = postgres.child.pid
            assert pid is not None
            return [await one_round(postgres.dsn, family(pid)) for _ in range(rounds)]
        finally:
            await postgres.stop()


def family(pid: int) -> list[int]:
    """The process and all below it."""
    parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _parent(place: Path) -> int:
    try:
        return int((place / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0
