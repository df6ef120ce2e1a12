"""Reconciliation with the simulated trading engine itself, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from typing_extensions import override

from tests.engine.place import STRATEGY, Place
from tests.paper.served import BUY, TRADING, Client
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.domain.external import ExternalKind, ExternalState
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import Cause
from tradesaga.engine.assembly import Parts
from tradesaga.engine.cash_check import CASH_CHECKS_MAX
from tradesaga.engine.ladder_watch import DRIFT_CHECKS_MAX
from tradesaga.engine.world import World
from tradesaga.ports.services import Capabilities
from tradesaga.testing.journal import MemoryJournal

REST = BUY | {"type": "limit", "limitPrice": Decimal("1.00")}


class PaperPlace(Place):
    """Its venue is the real one."""

    http: HttpTradingEngine

    @override
    def world(self, journal: MemoryJournal | None = None) -> World:
        return replace(super().world(journal), venue=self.http)


@pytest.fixture
async def place(paper: Client) -> AsyncIterator[PaperPlace]:
    place = PaperPlace()
    place.http = HttpTradingEngine(
        url=paper.bases[TRADING],
        time_max=timedelta(seconds=20),
        capabilities=Capabilities(
            dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=1)
        ),
        clock=place.clock,
    )
    yield place
    await place.http.close()


def standing(parts: Parts) -> list[Cause]:
    return [reason.cause for reason in parts.ladder.ladder.reasons]


async def test_orders_and_positions_of_others_are_found_and_left(
    paper: Client, place: PaperPlace
) -> None:
    async with place.running() as parts:
        await parts.book.load([replace(STRATEGY, id=STRATEGY.id, symbols=("SPY",))])
        empty = await parts.books.run_once()
        assert (empty.open_orders, empty.drifts) == (0, ())
        ids = []
        for name in ("by-hand", "ts-" + "0" * 26):
            status, told = await paper.call(
                TRADING, "POST", "/orders", REST | {"clientOrderId": name}
            )
            assert status == 201, told
            ids.append(told["orderId"])
        found = await parts.books.run_once()
        assert found.open_orders == 2
        orders = await place.records.external_orders(DEFAULT_AGENT, limit=9)
        assert {each.venue_order_id: each.kind for each in orders} == {
            ids[0]: ExternalKind.EXTERNAL, ids[1]: ExternalKind.STRAY,
        }  # fmt: skip
        assert {each.quantity for each in orders} == {Decimal(10)}
        assert Cause.STRAY_ORDER in standing(parts)
        await paper.call(TRADING, "DELETE", f"/orders/{ids[0]}")
        status, told = await paper.call(TRADING, "POST", "/orders", BUY)
        assert status == 201, told
        await paper.until(TRADING, "/positions", lambda body: body["positions"])
        for _ in range(DRIFT_CHECKS_MAX):
            found = await parts.books.run_once()
        assert [(d.symbol, d.ours, d.venue) for d in found.drifts] == [
            ("SPY", Decimal(0), Decimal(10))
        ]
        assert Cause.DRIFT in standing(parts)
        listed = await place.records.external_orders(DEFAULT_AGENT, limit=9)
        states = {each.venue_order_id: each.state for each in listed}
        assert (states[ids[0]], states[ids[1]]) == (ExternalState.GONE, ExternalState.OPEN)
        _, shown = await paper.call(TRADING, "GET", f"/orders/{ids[1]}")
        assert shown["status"] == "new", "nobody has touched it"


async def test_cash_that_others_spend_is_found(paper: Client, place: PaperPlace) -> None:
    place.settings = replace(place.settings, cash_tolerance=Decimal(1))
    async with place.running() as parts:
        await parts.books.run_once()
        status, told = await paper.call(TRADING, "POST", "/orders", BUY)
        assert status == 201, told
        await paper.until(TRADING, "/positions", lambda body: body["positions"])
        found = None
        for _ in range(CASH_CHECKS_MAX):
            found = (await parts.books.run_once()).cash
        assert found is not None
        assert found.ours == Decimal(100_000)
        assert found.venue < found.ours
        assert Cause.CASH_DRIFT in standing(parts)
