"""A trading engine of many accounts over HTTP: `/accounts/{name}` is one of its own each.

It fills every order at once at the recorded price of the market's minute, keeps our order ids,
takes none twice, and tells of every fill on the bus, out of the order in which it answers. All is
in memory: it must outlive the nodes that it is used to examine, and counts what reaches it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from tests.acceptance.running import Up
from tradesaga.adapters.system import ScaledClock
from tradesaga.domain.errors import TradesagaError
from tradesaga.paper.bus import Bus, BusAddress
from tradesaga.paper.http_server import listen, server
from tradesaga.paper.personality import TRADING_ENGINE
from tradesaga.paper.places import CLOCK_FILE
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import DEFAULT_DATA, Recording, load
from tradesaga.paper.spec.events import event
from tradesaga.paper.store import Outgoing
from tradesaga.ports.clock import Clock

START_CASH: Final = Decimal(1_000_000)
PAGE: Final = 500
_PATH: Final = re.compile(r"/accounts/([^/]+)(?:/api/v1)?/([a-z]+)(?:/([^/]+))?")
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Books:
    """One account."""

    name: str
    cash: Decimal = START_CASH
    held: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By our client order id, in the order in which they came."""


class ManyAccounts:
    """The engine; `port` once it listens. `twice` counts orders that came again under their id."""

    def __init__(self, recording: Recording, clock: Clock, bus: Bus) -> None:
        self._prices = Prices(recording)
        self._clock = clock
        self._bus = bus
        self._told: asyncio.Queue[Outgoing] = asyncio.Queue(10_000)
        self.books: dict[str, Books] = {}
        self.twice = 0
        self.port = 0
        self.listening, self.stop = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop` is set."""
        socket, http = listen("127.0.0.1", 0), server(self)
        self.port = socket.getsockname()[1]
        self.listening.set()
        await self._bus.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(http.serve(sockets=[socket]))
            telling = group.create_task(self._tell())
            await self.stop.wait()
            http.should_exit = True
            telling.cancel()
        await self._bus.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == ScopeType.HTTP
        found = _PATH.fullmatch(scope["path"])
        method, body = scope["method"], await _body(receive)
        status, answer = 404, {"code": "NOT_FOUND", "message": scope["path"]}
        if found is not None:
            account = self.books.setdefault(found[1], Books(found[1]))
            asked = scope["query_string"].decode().split("&")
            query = dict(part.split("=", 1) for part in asked if "=" in part)
            status, answer = self._answer(account, method, found[2], found[3], query, body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": _encode(answer), "more_body": False})

    def _answer(
        self,
        account: Books,
        method: str,
        what: str,
        key: str | None,
        query: Mapping[str, str],
        body: bytes,
    ) -> tuple[int, dict[str, Any]]:
        now = self._clock.now()
        match method, what, key:
            case "GET", "health", None:
                return 200, {"status": "healthy", "checks": {}, "timestamp": now}
            case "GET", "account", None:
                return 200, self._account(account, now)
            case "GET", "positions", None:
                return 200, {"positions": [*self._positions(account, now)]}
            case "GET", "orders", None:
                return 200, _page([*account.orders.values()], query)
            case "GET", "orders", str():
                for order in account.orders.values():
                    if order["orderId"] == key:
                        return 200, order
            case "POST", "orders", None:
                return self._filled(account, msgspec.json.decode(body), now)
            case _:
                pass
        return 404, {"code": "NOT_FOUND", "message": f"no {what} {key}"}

    def _filled(
        self, account: Books, asked: Mapping[str, Any], now: datetime
    ) -> tuple[int, dict[str, Any]]:
        client_id, symbol = asked["clientOrderId"], asked["symbol"]
        if client_id in account.orders:
            self.twice += 1
            text = "client_order_id must be unique"
            return 422, {"code": "DUPLICATE_CLIENT_ORDER_ID", "message": text}
        price = self._prices.last(symbol, now)
        if price is None:
            return 422, {"code": "NO_PRICE", "message": f"no price of {symbol}"}
        quantity = Decimal(str(asked["quantity"]))
        signed = quantity if asked["side"] == "buy" else -quantity
        if account.held.get(symbol, Decimal(0)) + signed < 0:
            return 422, {
                "code": "INSUFFICIENT_POSITION",
                "message": f"no such {symbol} is held",
            }
        account.held[symbol] = account.held.get(symbol, Decimal(0)) + signed
        account.cash -= signed * price
        order_id = f"{account.name}_{len(account.orders) + 1}"
        fill = {
            "executionId": f"{order_id}_1",
            "quantity": quantity,
            "price": price,
            "commission": Decimal(0),
            "cumulativeQuantity": quantity,
            "filledAt": now,
        }
        account.orders[client_id] = {
            "orderId": order_id,
            "clientOrderId": client_id,
            "symbol": symbol,
            "side": asked["side"],
            "type": asked["type"],
            "quantity": quantity,
            "filledQuantity": quantity,
            "remainingQuantity": Decimal(0),
            "averagePrice": price,
            "status": "filled",
            "fills": [fill],
            "createdAt": now,
            "updatedAt": now,
        }
        self._told.put_nowait(_event(account.orders[client_id], fill, now))
        return 201, {
            "orderId": order_id,
            "status": "accepted",
            "createdAt": now,
            "clientOrderId": client_id,
        }

    def _account(self, account: Books, now: datetime) -> dict[str, Any]:
        value = sum(
            (one["quantity"] * one["currentPrice"] for one in self._positions(account, now)),
            Decimal(0),
        )
        return {
            "accountId": account.name,
            "equity": account.cash + value,
            "cash": account.cash,
            "buyingPower": account.cash,
            "asOf": now,
        }

    def _positions(self, account: Books, now: datetime) -> list[dict[str, Any]]:
        return [
            {
                "symbol": symbol,
                "quantity": quantity,
                "side": "long",
                "averageEntryPrice": price,
                "currentPrice": price,
            }
            for symbol, quantity in account.held.items()
            if quantity and (price := self._prices.last(symbol, now)) is not None
        ]

    async def _tell(self) -> None:
        while True:
            told = await self._told.get()
            try:
                await self._bus.send(told, told.event_id)
            except TradesagaError:
                continue  # an event is lost: whoever needs it asks


def _page(orders: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    if (wanted := query.get("clientOrderId")) is not None:
        orders = [one for one in orders if one["clientOrderId"] == wanted]
    if query.get("status") == "open":
        orders = []
    after = int(query.get("after", "_0").rpartition("_")[2])
    page = orders[after : after + PAGE]
    more = {"nextCursor": page[-1]["orderId"]} if len(orders) > after + PAGE else {}
    return {"orders": page, **more}


def _event(order: Mapping[str, Any], fill: Mapping[str, Any], now: datetime) -> Outgoing:
    payload = {
        "orderId": order["orderId"],
        "clientOrderId": order["clientOrderId"],
        "executionId": fill["executionId"],
        "symbol": order["symbol"],
        "side": order["side"],
        "quantity": order["quantity"],
        "filledQuantity": order["quantity"],
        "fillQuantity": fill["quantity"],
        "remainingQuantity": Decimal(0),
        "averagePrice": fill["price"],
        "fillPrice": fill["price"],
        "commission": Decimal(0),
        "isPartial": False,
        "filledAt": now,
    }
    about = (fill["executionId"],)
    return event("trade.order.filled", "trading-engine", now, payload, about=about)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message["body"]
        if not message["more_body"]:
            return body


def accounts_beside(up: Up) -> ManyAccounts:
    """The trading engine of all accounts, on the bus of the simulated neighbours."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--start-cash" in words and str(up.state_dir / "paper").encode() in words:
                raw = (entry / "environ").read_bytes().split(b"\0")
                known = dict(one.decode().split("=", 1) for one in raw if b"=" in one)
                logins = json.loads(Path(known["NATS_LOGINS"]).read_text())
                own = {TRADING_ENGINE: logins[TRADING_ENGINE]}
                bus = Bus(BusAddress(url=known["NATS_URL"], logins=own), name="accounts")
                return ManyAccounts(
                    load(DEFAULT_DATA), ScaledClock(up.state_dir / "paper" / CLOCK_FILE), bus
                )
    raise AssertionError("the simulated neighbours do not run")
