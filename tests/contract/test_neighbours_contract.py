"""The clients of the neighbours against the simulated services, in both of their personalities.

One table of cases; where the personalities differ, the case says how by what the client declares
(`Capabilities`), never by which one it is talking to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.http.conftest import ORDER
from tests.paper.served import MARKET, TRADING, Client, served, settings_of
from tradesaga.adapters.http.analyst import HttpAnalyst
from tradesaga.adapters.http.market_data import HttpMarketData
from tradesaga.adapters.http.platform_engine import Books, PlatformTradingEngine
from tradesaga.adapters.http.platform_market_data import PlatformMarketData
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.adapters.system import ScaledClock
from tradesaga.domain.errors import Refused, Transient, Unavailable
from tradesaga.domain.orders import Order, OrderStatus, OrderType, Side, VenueReport
from tradesaga.paper.settings import Dialect
from tradesaga.ports.services import AmbiguousMatch, Capabilities, Health, MarketData

TIME_MAX = timedelta(seconds=5)
START_CAPITAL = Decimal(100_000)
FAR = Decimal(1)
_numbers = count(1)
Is = OrderStatus


@dataclass(frozen=True)
class Neighbours:
    """A personality, and our clients of it."""

    client: Client
    venue: HttpTradingEngine
    market_data: MarketData
    clock: ScaledClock
    claimed: set[str]

    @property
    def can(self) -> Capabilities:
        return self.venue.capabilities

    def order(self, **changes: Any) -> Order:
        """A market order for three shares, made now."""
        now = self.clock.now()
        fresh = {
            "client_order_id": f"ts-{next(_numbers)}",
            "created_at": now,
            "expires_at": now + timedelta(minutes=5),
        }
        return replace(ORDER, **{**fresh, **changes})

    def exit(self, **changes: Any) -> Order:
        return self.order(**{"side": Side.SELL, "opening": False, **changes})

    async def done(self, order: Order) -> VenueReport:
        """What the venue says of a known order, as soon as it has ended."""
        report = await self.venue.look_up(order)
        while report is None or report.status in (Is.WORKING, Is.PARTIALLY_FILLED):
            report = await self.venue.look_up(order)
        self.claimed.add(report.venue_order_id)
        return report

    async def traded(self, order: Order) -> VenueReport:
        """Send it, and wait for its end."""
        report = await self.venue.submit(order)
        return await self.done(replace(order, venue_order_id=report.venue_order_id))

    async def clear(self) -> None:
        """Leave nothing for the next case: no fault, no position, no order that nobody owns."""
        await self.client.call(TRADING, "DELETE", "/paper/faults")
        _, listed = await self.client.call(TRADING, "GET", "/orders")
        self.claimed.update(order["orderId"] for order in listed["orders"])
        while await self.held():
            _, held = await self.client.call(TRADING, "GET", "/positions")
            for one in held["positions"]:
                if self.can.closes_in_part:
                    await self.client.call(TRADING, "DELETE", f"/positions/{one['symbol']}")
                else:
                    path = f"/positions/{one['positionId']}/close"
                    await self.client.call(TRADING, "POST", path, {})

    async def held(self) -> Decimal:
        return sum((p.quantity for p in await self.venue.positions()), Decimal(0))


async def _open(
    stack: AsyncExitStack, client: Client, dialect: Dialect, clock: ScaledClock
) -> Neighbours:
    claimed: set[str] = set()
    is_platform = dialect is Dialect.PLATFORM

    async def is_claimed(venue_order_id: str) -> bool:
        return venue_order_id in claimed

    async def books() -> Books:
        return Books(cash_flow=Decimal(-1200), value=Decimal(1210))

    known: dict[str, Any] = {
        "url": client.bases[TRADING],
        "time_max": TIME_MAX,
        "clock": clock,
        "claimed": is_claimed,
        "capabilities": Capabilities(
            dedupes=not is_platform,
            query_by_client_id=not is_platform,
            visibility_lag=timedelta(seconds=2),
            closes_in_part=not is_platform,
            has_account=not is_platform,
        ),
    }
    venue = (
        PlatformTradingEngine(**known, start_capital=START_CAPITAL, books=books)
        if is_platform
        else HttpTradingEngine(**known)
    )
    prices = (PlatformMarketData if is_platform else HttpMarketData)(
        url=client.bases[MARKET], time_max=TIME_MAX, clock=clock
    )
    stack.push_async_callback(venue.close)
    stack.push_async_callback(prices.close)
    while "SPY" not in await prices.quotes(["SPY"]):
        pass  # market time has not come to the first bar yet
    return Neighbours(client=client, venue=venue, market_data=prices, clock=clock, claimed=claimed)


@pytest.fixture(params=list(Dialect))
async def there(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    nats_url: str,
    nats_token: str,
    subject_prefix: str,
) -> AsyncIterator[Neighbours]:
    settings = settings_of(tmp_path / "state", nats_url, nats_token, subject_prefix, 300.0)
    settings = replace(settings, dialect=request.param)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(served(settings))
        await client.until(TRADING, "/health", lambda body: body["status"] == "healthy")
        clock = ScaledClock(settings.clock_path)
        stack.callback(clock.close)
        yield await _open(stack, client, request.param, clock)


Case = Callable[[Neighbours], Awaitable[None]]


async def an_order_is_placed_filled_and_held(there: Neighbours) -> None:
    report = await there.traded(there.order())
    assert report.status is Is.FILLED
    assert report.filled_quantity == 3
    assert report.average_price is not None
    assert await there.held() == 3
    assert await there.venue.open_orders() == []


async def the_same_order_twice_is_one_only_where_that_is_declared(there: Neighbours) -> None:
    order = there.order()
    await there.traded(order)
    if there.can.dedupes:
        with pytest.raises(Unavailable, match="duplicate"):
            await there.venue.submit(order)
    else:
        await there.traded(order)
    quantity = Decimal(3 if there.can.dedupes else 6)
    while await there.held() != quantity:
        pass


async def an_order_whose_reply_was_lost_is_found(there: Neighbours) -> None:
    await there.traded(there.order())  # one of the same traits, which is ours already
    await there.client.fault(TRADING, kind="reply_lost", operation="submit")
    order = replace(there.order(), status=Is.UNKNOWN)
    with pytest.raises(Transient):
        await there.venue.submit(order)
    report = await there.done(order)
    assert report.status is Is.FILLED
    assert await there.venue.look_up(replace(order, venue_order_id=report.venue_order_id))


async def an_order_that_never_arrived_is_absent(there: Neighbours) -> None:
    await there.client.fault(TRADING, kind="error_before", operation="submit")
    order = replace(there.order(), status=Is.UNKNOWN)
    with pytest.raises(Transient):
        await there.venue.submit(order)
    assert await there.venue.look_up(order) is None


async def two_that_could_be_it_are_for_a_person(there: Neighbours) -> None:
    if there.can.query_by_client_id:
        return
    for _ in range(2):
        await there.venue.submit(there.order())
    earlier = there.clock.now() - timedelta(hours=1)
    stranger = replace(there.order(), status=Is.UNKNOWN, created_at=earlier)
    with pytest.raises(AmbiguousMatch):
        await there.venue.look_up(stranger)


async def a_cancel_in_every_state_is_an_answer(there: Neighbours) -> None:
    order = there.order(type=OrderType.LIMIT, limit_price=FAR)
    placed = await there.venue.submit(order)
    assert placed.status is Is.WORKING
    known = replace(order, venue_order_id=placed.venue_order_id)
    (listed,) = await there.venue.open_orders()
    assert (listed.venue_order_id, listed.quantity) == (placed.venue_order_id, Decimal(3))
    await there.venue.cancel(placed.venue_order_id)
    assert (await there.done(known)).status is Is.CANCELED
    await there.venue.cancel(placed.venue_order_id)
    filled = await there.traded(there.order())
    await there.venue.cancel(filled.venue_order_id)
    await there.venue.cancel("ord_0_000000")


async def an_exit_ends_the_position_and_a_second_one_is_refused(there: Neighbours) -> None:
    await there.traded(there.order())
    report = await there.traded(there.exit())
    assert (report.status, report.filled_quantity) == (Is.FILLED, Decimal(3))
    while await there.held():
        pass
    with pytest.raises(Refused):
        await there.venue.submit(there.exit())
    assert not await there.held(), "nothing was sold short"
    await there.venue.cancel(report.venue_order_id)


async def an_exit_whose_reply_was_lost_is_known_by_its_effect(there: Neighbours) -> None:
    await there.traded(there.order())
    operation = "submit" if there.can.closes_in_part else "close"
    await there.client.fault(TRADING, kind="reply_lost", operation=operation)
    order = replace(there.exit(), status=Is.UNKNOWN)
    with pytest.raises(Transient):
        await there.venue.submit(order)
    assert (await there.done(order)).status is Is.FILLED
    assert not await there.held()


async def an_exit_that_never_arrived_is_absent(there: Neighbours) -> None:
    await there.traded(there.order())
    operation = "submit" if there.can.closes_in_part else "close"
    await there.client.fault(TRADING, kind="error_before", operation=operation)
    order = replace(there.exit(), status=Is.UNKNOWN)
    with pytest.raises(Transient):
        await there.venue.submit(order)
    assert await there.venue.look_up(order) is None
    assert await there.held() == 3


async def a_part_is_sold_only_where_that_is_declared(there: Neighbours) -> None:
    await there.traded(there.order())
    part = there.exit(quantity=Decimal(1))
    if there.can.closes_in_part:
        assert (await there.traded(part)).status is Is.FILLED
    else:
        with pytest.raises(Refused) as refused:
            await there.venue.submit(part)
        assert refused.value.code == "NO_PARTIAL_CLOSE"
        assert await there.held() == 3


async def what_the_venue_will_not_do_is_a_refusal(there: Neighbours) -> None:
    with pytest.raises(Refused):
        await there.venue.submit(there.order(quantity=Decimal(5000)))
    await there.client.fault(TRADING, kind="reject_reply", code="WASH_TRADE")
    with pytest.raises(Refused):
        await there.venue.submit(there.order())
    assert not await there.held()


async def too_many_requests_are_no_answer_about_the_order(there: Neighbours) -> None:
    await there.client.fault(TRADING, kind="rate_limited", operation="submit")
    with pytest.raises(Transient):
        await there.venue.submit(there.order())


async def the_account_is_the_venues_or_our_own_ledger(there: Neighbours) -> None:
    account = await there.venue.account()
    if there.can.has_account:
        assert (account.cash, account.equity) == (START_CAPITAL, START_CAPITAL)
    else:
        assert (account.cash, account.equity) == (Decimal(98_800), Decimal(100_010))
    assert account.buying_power == account.cash
    assert not account.blocked


async def health_and_prices_are_read(there: Neighbours) -> None:
    assert await there.venue.health() is Health.HEALTHY
    assert await there.market_data.health() is Health.HEALTHY
    quotes = await there.market_data.quotes(["SPY", "NONE"])
    assert list(quotes) == ["SPY"]
    assert quotes["SPY"].middle is not None
    assert there.clock.now() - quotes["SPY"].at < timedelta(minutes=30)


CASES: list[Case] = [
    the_account_is_the_venues_or_our_own_ledger,  # first: nothing has been spent yet
    an_order_is_placed_filled_and_held,
    the_same_order_twice_is_one_only_where_that_is_declared,
    an_order_whose_reply_was_lost_is_found,
    an_order_that_never_arrived_is_absent,
    two_that_could_be_it_are_for_a_person,
    a_cancel_in_every_state_is_an_answer,
    an_exit_ends_the_position_and_a_second_one_is_refused,
    an_exit_whose_reply_was_lost_is_known_by_its_effect,
    an_exit_that_never_arrived_is_absent,
    a_part_is_sold_only_where_that_is_declared,
    what_the_venue_will_not_do_is_a_refusal,
    too_many_requests_are_no_answer_about_the_order,
    health_and_prices_are_read,
]


async def test_every_case(there: Neighbours) -> None:
    """All on one life of the services, which is what starting them costs."""
    for case in CASES:
        try:
            await case(there)
            await there.clear()
        except Exception as error:
            error.add_note(f"in the case {case.__name__}")
            raise


async def test_an_engine_that_began_anew_can_prove_nothing_absent(
    tmp_path: Path, nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    settings = settings_of(tmp_path / "state", nats_url, nats_token, subject_prefix, 300.0)
    settings = replace(settings, dialect=Dialect.PLATFORM)
    async with AsyncExitStack() as stack:
        async with served(settings) as client:
            await client.until(TRADING, "/health", lambda body: body["status"] == "healthy")
            clock = ScaledClock(settings.clock_path)
            stack.callback(clock.close)
            before = await _open(stack, client, Dialect.PLATFORM, clock)
            order = replace(before.order(), status=Is.UNKNOWN)
            await before.venue.submit(order)
        async with served(settings) as client:
            after = await _open(stack, client, Dialect.PLATFORM, clock)
            with pytest.raises(AmbiguousMatch, match="forgotten"):
                await after.venue.look_up(order)


async def test_the_platforms_decision_maker_is_told_all_that_it_will_know(
    tmp_path: Path, nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    settings = settings_of(tmp_path / "state", nats_url, nats_token, subject_prefix, 300.0)
    async with AsyncExitStack() as stack:
        platform = replace(settings, dialect=Dialect.PLATFORM)
        client = await stack.enter_async_context(served(platform))
        clock = ScaledClock(settings.clock_path)
        stack.callback(clock.close)
        there = await _open(stack, client, Dialect.PLATFORM, clock)
        analyst = HttpAnalyst(
            url=client.bases["decisions"],
            time_max=TIME_MAX,
            market_data=there.market_data,
            clock=clock,
        )
        stack.push_async_callback(analyst.close)
        known = await analyst.analyse("SPY")
        assert b'"action":"buy"' in known, "both averages were given"
        assert b"suggestedQuantity" not in known
        assert b'"action":"hold"' in await analyst.analyse("NONE")
