"""The kill switch: nothing is sent after it, entries are taken in, only a person re-arms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from tests.domain.trades import DECISION
from tests.engine.place import Place, another, begin, desk_of
from tradesaga.domain.decisions import Action, Decision
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung, Scope, ScopeKind
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.domain.trade_messages import CancelWanted, Happening, NoAnswer
from tradesaga.engine import kill_sweep
from tradesaga.engine.assembly import Parts
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.send_gate import SendGate
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.services import ScriptedVenue
from tradesaga.testing.venue_script import ACCEPT, CANCEL, CANCEL_LATER

ACME = Scope(ScopeKind.SYMBOL, "ACME")


class Marks:
    """The marks of one machine, in memory."""

    def __init__(self) -> None:
        self.standing: set[Scope] = set()
        self.reports: list[Mapping[str, Any]] = []
        self.reported = asyncio.Event()
        self.broken = False
        self.noticed: Callable[[Sequence[Scope]], None] = lambda _: None

    def watch(self, noticed: Callable[[Sequence[Scope]], None]) -> None:
        self.noticed = noticed
        if self.standing:
            noticed(tuple(self.standing))

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        if not self.broken:
            self.standing.add(scope)
        return not self.broken

    async def clear(self, scope: Scope) -> None:
        if self.broken:
            raise Unavailable("the disk is gone")
        self.standing.discard(scope)

    async def report(self, content: Mapping[str, Any]) -> None:
        self.reports.append(content)
        self.reported.set()


@asynccontextmanager
async def armed(place: Place) -> AsyncIterator[Parts]:
    """A running agent with the loops of the kill switch and the ladder."""
    async with place.running() as parts, asyncio.TaskGroup() as loops:
        tasks = [loops.create_task(parts.kill.run()), loops.create_task(parts.ladder.run())]
        await asyncio.sleep(0)  # their first turn: what is marked is heeded
        yield parts
        for task in tasks:
            task.cancel()


async def working(trade: OpenTrade) -> None:
    while trade.state.order.status is not OrderStatus.WORKING:
        trade.news.clear()
        await trade.news.wait()


async def open_entries(place: Place, parts: Parts, number: int) -> list[OpenTrade]:
    place.venue.default_submit = ACCEPT
    trades = [await begin(place, parts, another(n)) for n in range(number)]
    for trade in trades:
        await working(trade)
    return trades


async def kill(parts: Parts, scope: Scope = EVERYWHERE) -> None:
    await parts.kill.kill(scope, reason="test", who="ann", rung=Rung.HALTED)


async def rearm(parts: Parts, scope: Scope = EVERYWHERE) -> None:
    await parts.kill.rearm(scope, operator="ann", reason="all is well")


async def test_nothing_is_re_armed_before_the_marks_are_watched() -> None:
    place = Place()
    place.marks = Marks()
    async with place.running() as parts:
        with pytest.raises(Unavailable, match="is starting"):
            await rearm(parts)


async def test_a_node_that_does_not_lead_re_arms_nothing_and_says_so() -> None:
    place = Place()
    async with armed(place) as parts:
        await kill(parts)
        place.store.epochs[DEFAULT_AGENT] += 1  # another node has taken over
        with pytest.raises(Unavailable, match="another node holds the agent"):
            await rearm(parts)
        assert parts.ladder.rung() is Rung.HALTED


async def test_entries_are_taken_in_and_nothing_is_sent_until_a_person_re_arms() -> None:
    place = Place()
    async with armed(place) as parts:
        trades = await open_entries(place, parts, 5)
        killed = await parts.kill.kill(EVERYWHERE, reason="test", who="ann", rung=Rung.HALTED)
        assert (killed.orders, killed.asked, killed.recorded) == (5, 5, True)
        for trade in trades:
            await trade.ended.wait()
            assert trade.state.order.status is OrderStatus.CANCELED
        sent = len(place.venue.submits)
        late = await begin(place, parts, another(9))
        await late.ended.wait()
        assert len(place.venue.submits) == sent
        assert "kill switch" in late.state.saga.reason

        with pytest.raises(Invalid):
            await parts.kill.rearm(EVERYWHERE, operator=" ", reason="why")
        with pytest.raises(Invalid):
            await parts.kill.rearm(EVERYWHERE, operator="ann", reason="")
        assert parts.ladder.rung() is Rung.HALTED
        await rearm(parts)
        again = await begin(place, parts, another(10))
        await working(again)
    kinds = place.kinds()
    assert kinds.count("ladder.entered") == kinds.count("ladder.left") == 1
    [left] = [
        line.entry for line in place.store.log_of(DEFAULT_AGENT) if line.entry.kind == "ladder.left"
    ]
    assert (left.actor, left.body["reason"]) == ("ann", "all is well")


async def test_without_the_gate_the_order_would_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the test above can fail."""
    monkeypatch.setattr(SendGate, "refusal", lambda *_: "")
    place = Place()
    async with armed(place) as parts:
        await kill(parts)
        place.venue.default_submit = ACCEPT
        await working(await begin(place, parts, another(9)))
        assert len(place.venue.submits) == 1


async def test_exits_stay_at_the_venue_and_new_ones_are_not_sent() -> None:
    place = Place()
    async with armed(place) as parts:
        await (await begin(place, parts)).ended.wait()  # 2 ACME are held
        place.venue.default_submit = ACCEPT
        exit_now = replace(another(2), action=Action.SELL, opening=False)
        trade = await begin(place, parts, exit_now)
        await working(trade)
        await kill(parts)
        assert place.venue.cancels == []
        late = await begin(place, parts, replace(another(3), action=Action.SELL, opening=False))
        await late.ended.wait()
        assert len(place.venue.submits) == 2


async def test_a_halt_of_one_symbol_leaves_the_others() -> None:
    place = Place()
    async with armed(place) as parts:
        [mine] = await open_entries(place, parts, 1)
        other = await begin(place, parts, replace(another(7), symbol="OTHER"))
        await working(other)
        killed = await parts.kill.kill(ACME, reason="t", who="ann", rung=Rung.HALTED)
        assert (killed.orders, killed.asked) == (1, 1)
        await mine.ended.wait()
        assert parts.ladder.rung() is Rung.NORMAL
        more = await begin(place, parts, replace(another(8), symbol="OTHER"))
        await working(more)
        await rearm(parts)  # everything's scope: the symbol stays halted
        assert parts.ladder.rung(None, "ACME") is Rung.HALTED
        await rearm(parts, ACME)
        assert parts.ladder.rung(None, "ACME") is Rung.NORMAL


async def test_strategies_are_halted_by_either_name_and_unknown_ones_refused() -> None:
    place = Place()
    async with armed(place) as parts:
        await kill(parts, Scope(ScopeKind.STRATEGY, "sma"))
        [reason] = parts.ladder.ladder.reasons
        [strategy] = parts.book.known()
        assert reason.scope.subject == str(strategy.id)
        with pytest.raises(Invalid, match="nobody"):
            await kill(parts, Scope(ScopeKind.STRATEGY, "nobody"))


async def test_reduce_only_cancels_entries_through_their_sagas() -> None:
    place = Place()
    async with armed(place) as parts:
        trades = await open_entries(place, parts, 2)
        killed = await parts.kill.kill(
            EVERYWHERE, reason="careful", who="ann", rung=Rung.REDUCE_ONLY
        )
        assert killed.orders == 0
        for trade in trades:
            await trade.ended.wait()
            assert trade.state.order.status is OrderStatus.CANCELED
        assert parts.ladder.rung() is Rung.REDUCE_ONLY


@pytest.mark.parametrize("marked", [True, False])
async def test_a_restart_never_re_arms(marked: bool) -> None:
    """By the row in the database, and by the mark alone when the row was never written."""
    place, marks = Place(), Marks()
    place.marks = marks
    async with armed(place) as parts:
        if marked:
            marks.standing.add(EVERYWHERE)
            marks.noticed((EVERYWHERE,))
            await parts.ladder.settled.wait()
        else:
            await kill(parts)
            marks.standing.clear()
    async with armed(place) as parts:
        assert parts.ladder.rung() is Rung.HALTED
        late = await begin(place, parts, another(9))
        await late.ended.wait()
        assert place.venue.submits == []
        await rearm(parts)
        assert marks.standing == set()
    async with armed(place) as parts:
        assert parts.ladder.rung() is Rung.NORMAL


async def test_a_mark_that_cannot_be_removed_keeps_it_halted() -> None:
    place, marks = Place(), Marks()
    place.marks = marks
    async with armed(place) as parts:
        await kill(parts)
        marks.broken = True
        with pytest.raises(Unavailable):
            await rearm(parts)
        late = await begin(place, parts, another(9))
        await late.ended.wait()
        assert place.venue.submits == []


async def test_it_works_without_the_database_and_is_written_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    async with armed(place) as parts:
        await open_entries(place, parts, 3)
        away = asyncio.Event()
        fact = parts.book._scribe.fact

        async def never(*arguments: object) -> None:
            await away.wait()
            await fact(*arguments)  # type: ignore[arg-type]  # passed on as they are

        monkeypatch.setattr(parts.book._scribe, "fact", never)
        async with asyncio.timeout(3):
            killed = await parts.kill.kill(EVERYWHERE, reason="t", who="ann", rung=Rung.HALTED)
        assert (killed.asked, killed.recorded) == (3, False)
        assert sorted(place.venue.cancels) == sorted(o for o in place.venue.orders)
        away.set()
        async with asyncio.timeout(5):
            await parts.ladder.settled.wait()
        for trade in tuple(desk_of(parts).trades):
            await trade.ended.wait()


class SlowVenue(ScriptedVenue):
    """Holds submissions until it is told to go on."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.go, self.asked = asyncio.Event(), asyncio.Event()

    @override
    async def submit(self, order: Order) -> VenueReport:
        self.asked.set()
        await self.go.wait()
        return await super().submit(order)


async def test_a_submission_that_was_on_its_way_is_taken_in_by_its_answer() -> None:
    place = Place()
    place.venue = SlowVenue(place.clock)
    place.venue.default_submit = ACCEPT
    async with armed(place) as parts:
        trade = await begin(place, parts)
        await place.venue.asked.wait()
        killing = asyncio.ensure_future(
            parts.kill.kill(EVERYWHERE, reason="t", who="ann", rung=Rung.HALTED)
        )
        await asyncio.sleep(0)
        place.venue.go.set()
        assert (await killing).asked == 1
        await trade.ended.wait()
        assert trade.state.order.status is OrderStatus.CANCELED


async def test_what_has_no_verdict_in_time_is_escalated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_sweep, "VERDICT_SECONDS_MAX", 0.3)
    place, marks = Place(), Marks()
    place.marks = marks
    place.venue.default_cancel = CANCEL_LATER
    async with armed(place) as parts:
        trades = await open_entries(place, parts, 2)
        await kill(parts)
        async with asyncio.timeout(5):
            await marks.reported.wait()
        view = await parts.kill.ladder()
        assert view.last_kill is not None
        assert len(view.last_kill.unresolved) == len(marks.reports[0]["unresolved"]) == 2
        assert ("error_occurred", "kill_unresolved") in place.metrics.seen
        assert ("kill_unresolved", 2) in place.metrics.seen
        for trade in trades:  # their sagas go on
            place.venue.settle_cancel(trade.state.order.client_order_id)
        place.clock.advance(timedelta(seconds=5))
        for trade in trades:
            await trade.ended.wait()
    assert "alert" in place.kinds()


@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_no_send_after_the_kill_has_answered(turns: int) -> None:
    """A kill at any turn of the loop between a decision and its order."""
    place = Place()
    place.venue.default_submit, place.venue.default_cancel = ACCEPT, CANCEL
    async with armed(place) as parts:
        trades = [await begin(place, parts, another(n)) for n in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await kill(parts)
        sent = len(place.venue.submits)
        trades.append(await begin(place, parts, another(9)))
        for trade in trades:
            await trade.ended.wait()
        assert len(place.venue.submits) == sent
        assert not any(o.remaining for o in place.venue.orders.values())


async def test_the_ladder_denies_at_the_risk_gate_too() -> None:
    place = Place()
    async with armed(place) as parts:
        await kill(parts)
        assert "KILL_SWITCH" in parts.ladder.refusal_to_send(_order_of(place, DECISION))
        parts.ladder.enter(Cause.CLOCK_SKEW, "12 s")
        status = await parts.control.status()
        assert "HALTED for all by KILL_SWITCH" in status.detail


def _order_of(place: Place, decision: Decision) -> Order:
    return place.trade(decision).order


@pytest.mark.parametrize(
    ("unbooked", "status"),
    [
        (None, OrderStatus.INTENT),
        (CancelWanted(reason="halted"), OrderStatus.INTENT),  # refused before it was sent
        (NoAnswer(reason="lost"), OrderStatus.UNKNOWN),
    ],
)
async def test_what_the_gate_refused_is_no_order_to_look_for(
    unbooked: Happening | None, status: OrderStatus
) -> None:
    place = Place()
    async with armed(place) as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        trade.unbooked = unbooked
        assert kill_sweep._known(trade).status is status
