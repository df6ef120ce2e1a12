"""`python -m bench.kill`: the kill switch of a real `tradesaga serve`, Postgres and NATS frozen.

A hundred entries work at a venue that speaks the trading-engine's REST and notes when each request
came. Postgres and NATS of this run are stopped with SIGSTOP, then the switch is thrown, and its
times are counted at the venue: the last order after it, the last cancel, the last verdict asked
for. Each way (API, file, signal) gets servers and a process of its own; `busy` throws it under a
sender that goes on trying (`bench/busy_kill.py`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import httpx2
import msgspec

from bench import busy_kill
from bench.busy_kill import family
from bench.product import AGENT, product
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.bootstrap.token_file import ensure_token, read_token
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.domain.trade_messages import Reported
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres

ORDERS = 100
READY_SECONDS_MAX = 60.0
WATCHED_SECONDS = 7.0
BUSY = "busy"
TARGETS = {"last send": 0.05, "cancels out": 1.0, "verdict or escalation": 5.0}
WAYS = ("api", "file", "signal", BUSY)


@dataclass(slots=True)
class RestVenue:
    """Orders that never fill; `calls` are (monotonic, method, path) as they came."""

    orders: dict[str, dict[str, object]] = field(default_factory=dict)
    calls: list[tuple[float, str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.split(b" ", 2)
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                status, said = self.answer(method.decode(), path.decode(), body)
                answer = msgspec.json.encode(said)
                lines = (
                    f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
                    f"Date: {formatdate(usegmt=True)}\r\n"  # the venue's clock must be known
                    f"Content-Length: {len(answer)}\r\n\r\n"
                )
                writer.write(lines.encode() + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """The specification's dialect, as far as this run goes."""
        self.calls.append((time.monotonic(), method, path))
        if path == "/health":
            return 200, {"status": "healthy"}
        if path.endswith("/account"):
            money = {"equity": 100000, "cash": 100000, "buyingPower": 100000}
            return 200, {"accountId": "bench", **money}
        if path.endswith("/positions"):
            return 200, {"positions": []}
        known = self.orders.get(path.rpartition("/")[2])
        if known is None:
            return (200, {"orders": []}) if method == "GET" else (404, {"error": "unknown"})
        if method == "DELETE":
            known["status"] = "canceled"
        return 200, known

    def has(self, order: Order) -> VenueReport:
        """The order as if it had been sent before."""
        venue_id = f"v-{order.client_order_id}"
        self.orders[venue_id] = {
            "orderId": venue_id,
            "clientOrderId": order.client_order_id,
            "symbol": order.symbol,
            "side": order.side,
            "type": order.type,
            "quantity": float(order.quantity),
            "status": "accepted",
            "filledQuantity": 0,
            "timeInForce": order.time_in_force,
            "createdAt": order.created_at.isoformat(),
        }
        return VenueReport(
            venue_order_id=venue_id,
            status=OrderStatus.WORKING,
            source="reply",
            at=order.created_at,
            filled_quantity=order.quantity * 0,
        )


async def leave_working(dsn: str, venue: RestVenue) -> None:
    """A hundred sagas whose orders work, as a process that was killed leaves them."""
    async with product(dsn) as made:
        for _ in range(ORDERS):
            trade = await made.begun()
            await made.desk.book(trade, Reported(report=venue.has(trade.state.order)))


@asynccontextmanager
async def serving(
    directory: Path,
    postgres: EmbeddedPostgres,
    nats: EmbeddedNats,
    port: int,
    venue_port: int,
    settings: str = "",
) -> AsyncIterator[asyncio.subprocess.Process]:
    config = directory / "bench.yaml"
    where = re.match(
        r"postgresql://([^:@/]+)(?::([^@]*))?@([^/]*)/([^?]+)(?:\?(.*))?", postgres.dsn
    )
    assert where is not None, postgres.dsn
    options = dict(part.split("=") for part in (where[5] or "").split("&") if part)
    host = (options.get("host") or where[3].partition(":")[0]).replace("%2F", "/")
    db_port = options.get("port") or where[3].partition(":")[2]
    config.write_text(
        "orchestrator:\n"
        f"  agent: {{id: {AGENT}}}\n"
        "  trading: {marketHoursOnly: false}\n"
        f"  database: {{name: {where[4]}}}\n"
        "  sagas: {tradeExecution: {timeout: 600000, fillTimeout: 300000}}\n"
        "  services:\n"
        f"    tradingEngine: {{url: 'http://127.0.0.1:{venue_port}', clientOrderId: honoured}}\n"
        f"    marketData: {{url: 'http://127.0.0.1:{venue_port}'}}\n"
        f"    aiDecision: {{url: 'http://127.0.0.1:{venue_port}'}}\n" + settings
    )
    environment = {
        **os.environ,
        "DB_HOST": host,
        "DB_PORT": db_port,
        "DB_USER": where[1],
        "DB_PASSWORD": where[2] or "",
        "NATS_URL": nats.url,
        "NATS_TOKEN": nats.token,
    }
    with (directory / "serve.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tradesaga",
            "serve",
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--state-dir",
            str(directory / "state"),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    except BaseException:
        print((directory / "serve.log").read_text()[-2500:])
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run(way: str, directory: Path) -> Mapping[str, float]:
    postgres, nats, venue = EmbeddedPostgres(directory), EmbeddedNats(directory), RestVenue()
    await postgres.start()
    await nats.start()
    frozen: list[int] = []
    try:
        await migrate(postgres.dsn, schema=SCHEMA)
        await leave_working(postgres.dsn, venue)
        server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
        venue_port = server.sockets[0].getsockname()[1]
        port = 20000 + os.getpid() % 20000
        async with (
            serving(directory, postgres, nats, port, venue_port) as process,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
        ):
            await ready(api, directory)
            await api.post("/api/v1/agent/start")
            for pid in (postgres.child.pid, nats.child.pid):
                assert pid is not None
                frozen += family(pid)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(1.0)
            thrown = time.monotonic()
            answered = None
            if way == "api":
                answer = await api.post("/api/v1/kill", json={"reason": "bench"}, timeout=10)
                answered = time.monotonic() - thrown
                print("   answer:", answer.json())
            elif way == "file":
                (directory / "state").mkdir(exist_ok=True)
                (directory / "state" / "HALT").touch()
            else:
                process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(WATCHED_SECONDS)
            after = [(at - thrown, method, path) for at, method, path in venue.calls if at > thrown]
            sends = [at for at, method, _ in after if method == "POST"]
            cancels = sorted(at for at, method, _ in after if method == "DELETE")
            ended = sum(1 for o in venue.orders.values() if o["status"] == "canceled")
            view = (await api.get("/api/v1/ladder", timeout=5)).json()
            kill = view["lastKill"]
            print(
                f"   {way}: sends after {len(sends)}, cancels {len(cancels)}, ended {ended}, "
                f"settled {kill['ended']}, unresolved {len(kill['unresolved'])}, "
                f"recorded {view['recorded']}, rung {view['rung']}, answer {answered}"
            )
            report = msgspec.json.decode((directory / "state" / "kill-report.json").read_bytes())
            return {
                "last send": max(sends, default=0.0),
                "cancels out": cancels[ORDERS - 1] if len(cancels) >= ORDERS else float("inf"),
                "verdict or escalation": report["doneMs"] / 1000,
            }
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        await nats.stop()
        await postgres.stop()


def _token_in(state_dir: Path) -> str:
    path = ensure_token(state_dir)
    assert path is not None
    return read_token(path)


async def ready(api: httpx2.AsyncClient, directory: Path) -> None:
    """Take the first start's token, and wait until the orchestrator answers."""
    token = await asyncio.to_thread(_token_in, directory / "state")
    api.headers["Authorization"] = f"Bearer {token}"
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            said = await api.get("/api/v1/agent/status")
            if said.status_code == 200 and said.json()["detail"] != "starting":
                return
        except (httpx2.HTTPError, ValueError):
            pass
        assert time.monotonic() < deadline, (directory / "serve.log").read_text()[-3000:]
        await asyncio.sleep(0.1)


def _tell_busy(rounds: Sequence[Mapping[str, float]]) -> None:
    for name in rounds[0]:
        values = sorted(each[name] for each in rounds)
        middle, most = values[len(values) // 2], values[-1]
        if isinstance(middle, int):
            print(f"{BUSY:8}{name:24}p50 {middle:8}   max {most:8}")
            continue
        target = f"   target {TARGETS[name] * 1000:.0f} ms" if name in TARGETS else ""
        print(f"{BUSY:8}{name:24}p50 {middle * 1000:8.1f}   max {most * 1000:8.1f} ms{target}")


def main() -> None:
    log_output.configure(level="ERROR", form="text")
    for way in sys.argv[1:] or WAYS:
        if way == BUSY:
            _tell_busy(asyncio.run(busy_kill.run()))
            continue
        with tempfile.TemporaryDirectory(prefix="tradesaga-kill-") as directory:
            Path(directory).chmod(0o711)
            figures = asyncio.run(run(way, Path(directory)))
            for name, value in figures.items():
                target = TARGETS[name] * 1000
                print(f"{way:8}{name:24}{value * 1000:10.1f} ms   target {target:.0f} ms")


if __name__ == "__main__":
    main()
