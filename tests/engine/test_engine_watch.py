"""An engine that trades by itself is parked or left to; one that has forgotten ends trading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from tests.domain.trades import DECISION
from tests.engine.place import SETTINGS, Place
from tradesaga.domain.cycle import TriggeredBy
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DecisionId
from tradesaga.domain.ladder import EVERYWHERE, Cause, Purpose, Rung
from tradesaga.engine.assembly import Parts
from tradesaga.engine.engine_watch import left_to_engine
from tradesaga.engine.settings import SelfTrading

PARKING = replace(SETTINGS, self_trading=SelfTrading.PARK)


@dataclass
class Brake:
    """Parks unless it is `broken`."""

    broken: bool = False
    parked: int = 0

    async def park(self) -> None:
        if self.broken:
            raise Unavailable("the bus gives no answer")
        self.parked += 1


@dataclass
class Memory:
    """A venue that began `uptime` ago."""

    uptime_now: timedelta = timedelta(hours=1)
    silent: bool = False

    async def uptime(self) -> timedelta:
        if self.silent:
            raise Unavailable("no answer")
        return self.uptime_now


async def beat(place: Place, parts: Parts) -> None:
    await parts.scheduler._heartbeat.run(TriggeredBy.SCHEDULE, place.clock.now())


def causes(parts: Parts) -> set[Cause]:
    return {reason.cause for reason in parts.ladder.ladder.reasons}


async def test_nothing_is_entered_until_the_engine_is_parked_for_certain() -> None:
    brake = Brake(broken=True)
    place = Place(settings=PARKING, parking=brake)
    async with place.running() as parts:
        await parts.watchers.engine.check()
        assert causes(parts) == {Cause.ENGINE_NOT_PARKED}
        assert parts.ladder.rung(None, None) is Rung.NO_ENTRIES
        assert (await parts.control.health()).self_trading == "not parked"
        brake.broken = False
        await beat(place, parts)
        assert causes(parts) == {Cause.ENGINE_NOT_PARKED}, "one look is not enough"
        await beat(place, parts)
        assert not causes(parts)
        assert brake.parked == 2, "each heartbeat makes certain"
        assert (await parts.control.health()).self_trading == "parked"


async def test_without_a_brake_the_mode_is_told() -> None:
    place = Place(settings=replace(SETTINGS, self_trading=SelfTrading.ADOPT))
    async with place.running() as parts:
        assert (await parts.control.health()).self_trading == ""
        await beat(place, parts)
        assert (await parts.control.health()).self_trading == "adopt"
        assert not causes(parts)


async def test_an_engine_that_began_anew_ends_all_trading_until_a_person_has_looked() -> None:
    memory = Memory()
    place = Place(venue_memory=memory)
    async with place.running() as parts:
        await beat(place, parts)
        memory.silent = True
        await beat(place, parts)
        assert not causes(parts), "no answer is no evidence"
        memory.silent, memory.uptime_now = False, timedelta(seconds=3)
        await beat(place, parts)
        assert causes(parts) == {Cause.VENUE_FORGOT}
        (reason,) = parts.ladder.ladder.reasons
        assert reason.detail.startswith("drift: ")
        assert not parts.ladder.rung(None, None).allows(Purpose.EXIT)
        for _ in range(3):
            await beat(place, parts)
        assert causes(parts) == {Cause.VENUE_FORGOT}, "it does not heal by itself"
        await parts.kill.rearm(EVERYWHERE, operator="ann", reason="looked")
        assert not causes(parts)
        await beat(place, parts)
        assert not causes(parts), "the new life is known"


async def test_at_the_first_look_a_venue_without_all_that_we_hold_has_forgotten() -> None:
    place = Place(venue_memory=Memory())
    async with place.running() as parts:
        parts.books.desk.holdings.positions["ACME"] = Decimal(10)
        await parts.watchers.engine.check()
        assert causes(parts) == {Cause.VENUE_FORGOT}


def test_only_what_the_engine_executes_is_left_to_it() -> None:
    sure = replace(DECISION, confidence=Decimal("0.6"))
    doubtful = replace(DECISION, id=DecisionId(UUID(int=9)), confidence=Decimal("0.59"))
    both = (sure, doubtful)
    assert left_to_engine(SelfTrading.ADOPT, both) == {sure.id}
    assert left_to_engine(SelfTrading.PARK, both) == set()
    assert left_to_engine(SelfTrading.OFF, both) == set()
