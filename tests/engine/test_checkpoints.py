"""What a process leaves about itself: identity, lineage, and what it found open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.engine.place import SETTINGS, STRATEGY, Place, desk_of
from tradesaga.domain.checkpoint import Checkpoint, Identity, Occasion, digest_of
from tradesaga.domain.ids import DEFAULT_AGENT

CODE = Identity(release="1", code="a", configuration="b")


async def checkpoints(place: Place) -> list[Checkpoint]:
    return list(await place.records.checkpoints(DEFAULT_AGENT, limit=9))


async def test_the_report_tells_what_was_found_and_what_became_of_it() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)  # the intent is committed, and then the process is gone
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        found = trade.state.saga.id
    async with place.node() as parts:
        await parts.book.load([STRATEGY])
        await parts.recovery.settle(place.found)
    [taken] = await checkpoints(place)
    assert (taken.occasion, taken.epoch, taken.lineage) == (Occasion.RECOVERED, 2, 1)
    assert (taken.report["sagasFound"], taken.report["sagasEnded"]) == (1, 1)
    [told] = taken.report["sagas"]
    assert told["sagaId"] == str(found)
    assert told["now"].startswith("completed")


@pytest.mark.parametrize("part", ["release", "code", "configuration"])
async def test_another_identity_begins_a_lineage(part: str) -> None:
    place = Place(settings=replace(SETTINGS, identity=CODE))
    for identity in (CODE, CODE, replace(CODE, **{part: "x"}), replace(CODE, **{part: "x"})):
        place.settings = replace(SETTINGS, identity=identity)
        async with place.node() as parts:
            await parts.book.load([STRATEGY])
            await parts.recovery.settle(place.found)
    latest = await checkpoints(place)
    assert [one.lineage for one in latest] == [2, 2, 1, 1]
    assert [one.changed for one in latest] == [(), (part,), (), ()]


def test_strategies_are_told_apart_by_what_they_are_set_to() -> None:
    other = replace(STRATEGY, external_id="other")
    assert digest_of([STRATEGY, other]) == digest_of([other, STRATEGY])
    set_otherwise = replace(STRATEGY, parameters={"period": Decimal(5)})
    assert digest_of([STRATEGY]) != digest_of([set_otherwise])
    worked = replace(STRATEGY, version=9, updated_at=STRATEGY.updated_at + timedelta(days=1))
    assert digest_of([STRATEGY]) == digest_of([worked])
