"""Nothing opens on a locked symbol: each reason, from its beginning to its end."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.place import Place, begin, carried_out, desk_of
from tradesaga.domain.decisions import Action
from tradesaga.domain.instructions import Instruction, Origin
from tradesaga.domain.ladder import CHECKS_TO_CLEAR, Cause, Scope, ScopeKind
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.trade_messages import Ambiguous, Resolution
from tradesaga.engine.assembly import Parts
from tradesaga.engine.ladder_watch import DRIFT_CHECKS_MAX
from tradesaga.engine.risk_gate import MarketView
from tradesaga.testing.services import FAIL_BEFORE

ACME = Scope(ScopeKind.SYMBOL, "ACME")


async def denied(place: Place, parts: Parts, number: int) -> bool:
    """Whether an entry is denied because of a lock; it is judged like any other."""
    place.market_data.show("ACME", 100)
    given = Instruction(
        origin=Origin.REBALANCE, key=f"try-{number}", symbol="ACME", action=Action.BUY,
        quantity=Decimal(1), reason="x", actor="engine",
    )  # fmt: skip
    account = await place.venue.account()
    await parts.watchers.losses.saw(account.equity)
    view = MarketView(quotes=place.market_data.known, account=account, tradable=frozenset({"ACME"}))
    done = await parts.instructed.begin(given, view, epoch=desk_of(parts).epoch)
    if done.trade is not None:
        await done.trade.ended.wait()
    return "SYMBOL_LOCKED" in [denial.code for denial in done.decision.denials]


async def reasons(parts: Parts) -> list[str]:
    return [lock.reason for lock in await parts.control.sagas.locks()]


async def test_an_unknown_order_and_then_a_parked_saga_lock_until_a_person_settles_it() -> None:
    place = Place()
    async with place.running() as parts:
        assert not await denied(place, parts, 1)
        place.venue.script(FAIL_BEFORE)
        trade = await begin(place, parts)
        while trade.state.order.status is not OrderStatus.UNKNOWN:
            trade.news.clear()
            await trade.news.wait()
        assert await denied(place, parts, 2)
        assert await reasons(parts) == ["order_unknown"]
        await desk_of(parts).book(trade, Ambiguous(reason="two orders"))
        assert await denied(place, parts, 3)
        assert await reasons(parts) == ["manual_required"]
    async with place.node() as parts:
        assert await denied(place, parts, 4), "also for the next process"
        (lock,) = await parts.control.sagas.locks()
        assert lock.saga_id is not None
        await parts.control.sagas.resolve(
            lock.saga_id, Resolution.NOT_PLACED, reason="broker says so", actor="ann"
        )
        assert await reasons(parts) == []
        assert not await denied(place, parts, 5)


async def test_a_drift_that_does_not_heal_quarantines_until_the_books_agree() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        check = parts.scheduler._heartbeat.books.positions
        (placed,) = place.venue.orders.values()
        fills, placed.fills = placed.fills, []  # the venue forgets what it filled
        for number in range(DRIFT_CHECKS_MAX):
            assert not await denied(place, parts, number + 10)
            placed_now = [o for o in place.venue.orders.values() if o is not placed]
            assert placed_now, "entries go on"
            assert len(await check.run()) == 1
        assert await denied(place, parts, 20)
        (lock,) = await parts.control.sagas.locks()
        assert (lock.reason, lock.symbol, lock.saga_id) == ("quarantine", "ACME", None)
        assert "the venue" in lock.detail
        await parts.ladder.write()
    async with place.running() as parts:
        check = parts.scheduler._heartbeat.books.positions
        assert await denied(place, parts, 21), "also for the next process"
        placed.fills = fills
        for number in range(CHECKS_TO_CLEAR):
            assert await denied(place, parts, number + 22)
            assert await check.run() == ()
        await parts.ladder.write()
        assert await reasons(parts) == []
        assert not await denied(place, parts, 30)


async def test_an_acknowledged_drift_locks_nothing_while_it_goes_on() -> None:
    place = Place()
    async with place.running() as parts:
        parts.ladder.enter(Cause.DRIFT, "we hold 2, the venue 0", scope=ACME)
        assert await denied(place, parts, 1)
        await parts.ladder.acknowledge(Cause.DRIFT, ACME, "ann")
        assert await reasons(parts) == []
        assert not await denied(place, parts, 2)
