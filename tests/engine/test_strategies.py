"""Strategies at work: commands are durable, a deactivated one's positions are closed, also by the
next process, and a person is asked when that does not succeed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.trades import DECISION
from tests.engine.place import STRATEGY, CrashingJournal, Place, carried_out, desk_of
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.saga import Saga
from tradesaga.domain.strategies import CLOSE_ATTEMPTS_MAX, Edit, Strategy, StrategyStatus
from tradesaga.engine.assembly import Parts
from tradesaga.ports.strategy_operations import NewStrategy
from tradesaga.testing.venue_script import refuse

ANN = "api:ann"
NAME = STRATEGY.external_id
HELD_BY_IT = replace(DECISION, strategy_id=STRATEGY.id)


async def deactivate(parts: Parts) -> None:
    control = parts.control.strategy_control
    await control.deactivate(NAME, close_positions=True, actor=ANN)


def of(parts: Parts) -> Strategy:
    return parts.book.find(NAME)


def sagas(place: Place) -> list[str]:
    return [saga.type for saga in place.store.of(Saga, DEFAULT_AGENT)]


async def test_what_was_made_is_there_after_a_restart() -> None:
    place = Place()
    new = NewStrategy(name="slow", type="sma", symbols=["ACME"], priority=9, active=True)
    async with place.running() as parts:
        control = parts.control.strategy_control
        await control.create(new, actor=ANN)
        assert [s.external_id for s in parts.book.active()] == ["slow", NAME]
        with pytest.raises(Invalid, match="taken"):
            await control.create(new, actor=ANN)
        await control.update("slow", Edit(symbols=["ACME", "SPY"]), actor=ANN)
    async with place.node() as parts:
        await parts.book.load([STRATEGY])
        assert parts.book.find("slow").symbols == ("ACME", "SPY")
        control = parts.control.strategy_control
        await control.deactivate("slow", close_positions=False, actor=ANN)
        await control.delete("slow", actor=ANN)
        with pytest.raises(NotFound):
            await control.strategy("slow")
        with pytest.raises(Invalid, match="taken"):
            await control.create(new, actor=ANN)
    kinds = [kind for kind in place.kinds() if kind.startswith("strategy.")]
    assert kinds == [
        "strategy.created", "strategy.created", "strategy.updated", "strategy.deactivated",
        "strategy.deleted",
    ]  # fmt: skip


async def test_a_repeated_command_commits_nothing() -> None:
    place = Place()
    async with place.running() as parts:
        control = parts.control.strategy_control
        first = await control.deactivate(NAME, close_positions=True, actor=ANN)
        length = len(place.kinds())
        again = await control.deactivate(NAME, close_positions=True, actor=ANN)
        assert (again.strategy, len(place.kinds())) == (first.strategy, length)


async def test_positions_of_a_deactivated_strategy_are_closed() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts, HELD_BY_IT)
        place.market_data.show("ACME", 100)
        with pytest.raises(IllegalTransition, match="active"):
            await parts.control.strategy_control.delete(NAME, actor=ANN)
        await deactivate(parts)
        assert of(parts).detail.startswith("stopping")
        await parts.exits.close(of(parts))
        assert (of(parts).detail, of(parts).status) == ("", StrategyStatus.STOPPED)
        assert await place.position() == 0
        await parts.control.strategy_control.delete(NAME, actor=ANN)
    assert sagas(place) == ["trade_execution", "position_close"]
    assert await place.broken() == []


async def life_that_crashes(place: Place, journal: CrashingJournal) -> None:
    async with place.node(journal) as parts:
        await parts.book.load([STRATEGY])
        await parts.exits.close(of(parts))
        for _ in range(2):  # so that every life comes to its commit
            await parts.control.pause(duration=None, actor=ANN)
            await parts.control.resume(actor=ANN)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("durable", [False, True])
async def test_the_next_process_goes_on_closing(at: int, durable: bool) -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts, HELD_BY_IT)
        place.market_data.show("ACME", 100)
        await deactivate(parts)
    with pytest.raises(BaseExceptionGroup):
        await life_that_crashes(place, CrashingJournal(place.store, at=at, durable=durable))
    async with place.node() as parts:
        await parts.book.load([STRATEGY])
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
        if of(parts).closing_at is not None:
            await parts.exits.close(of(parts))
        assert of(parts).detail == ""
    assert await place.position() == 0
    assert sagas(place) == ["trade_execution", "position_close"]
    assert await place.broken() == []


async def test_a_person_is_asked_when_it_does_not_succeed() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts, HELD_BY_IT)
        place.market_data.show("ACME", 100)
        await deactivate(parts)
        for _ in range(CLOSE_ATTEMPTS_MAX):
            place.venue.script(refuse("NO_LOCATE"))
            await parts.exits.close(of(parts))
            place.clock.advance(timedelta(minutes=1))  # so many orders a minute are allowed
            place.market_data.show("ACME", 100)
        assert "positions not closed after" in of(parts).detail
        assert "NO_LOCATE" in of(parts).detail
        assert ("error_occurred", "strategy_close_failed") in place.metrics.seen
        await deactivate(parts)  # the person says: once more
        await parts.exits.close(of(parts))
        assert of(parts).detail == ""
    assert await place.position() == 0
    assert await place.broken() == []
