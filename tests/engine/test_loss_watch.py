"""The loss tiers as the engine enters them: by equity, session, restart and re-arming."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.engine.place import Place
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung
from tradesaga.engine.assembly import Parts
from tradesaga.engine.loss_watch import LossWatch

START_EQUITY = Decimal(100_000)


def watch(parts: Parts) -> LossWatch:
    return parts.scheduler._analysis.losses


@pytest.mark.parametrize(
    ("equity", "rung"),
    [
        ("97000.01", Rung.NORMAL),
        ("97000", Rung.NO_ENTRIES),
        ("95000.01", Rung.NO_ENTRIES),
        ("95000", Rung.HALTED),
        ("NaN", Rung.HALTED),
    ],
)
async def test_the_tiers_of_the_day(equity: str, rung: Rung) -> None:
    place = Place()
    async with place.running() as parts:
        await watch(parts).saw(START_EQUITY)
        assert parts.ladder.rung() is Rung.NORMAL
        await watch(parts).saw(Decimal(equity))
        assert parts.ladder.rung() is rung


async def test_the_base_and_the_peak_survive_the_process() -> None:
    place = Place()
    async with place.running() as parts:
        await watch(parts).saw(START_EQUITY)
        await watch(parts).saw(START_EQUITY + 1000)
    async with place.running() as parts:
        await watch(parts).saw(Decimal(96_000))
        assert parts.ladder.rung() is Rung.NO_ENTRIES
    marks = await place.records.equity_marks(DEFAULT_AGENT)
    assert marks is not None
    assert (marks.session_equity, marks.peak_equity) == (START_EQUITY, START_EQUITY + 1000)


@pytest.mark.parametrize(
    ("equity", "rung"),
    [
        ("111000.01", Rung.NORMAL),
        ("111000", Rung.NO_ENTRIES),  # 7.5 % below 120000
        ("106500", Rung.REDUCE_ONLY),
        ("102000", Rung.HALTED),
    ],
)
async def test_the_tiers_of_the_drawdown(equity: str, rung: Rung) -> None:
    place = Place()
    async with place.running() as parts:
        await watch(parts).saw(START_EQUITY)
        await watch(parts).saw(Decimal(120_000))
        await watch(parts).saw(Decimal(equity))
        assert parts.ladder.rung() is rung


async def test_rearming_after_a_loss_measures_from_then() -> None:
    place = Place()
    async with place.running() as parts:
        await watch(parts).saw(START_EQUITY)
        await watch(parts).saw(Decimal(94_000))
        assert parts.ladder.rung() is Rung.HALTED
        await parts.kill.rearm(EVERYWHERE, operator="ann", reason="looked at")
        await watch(parts).saw(Decimal(94_000))
        causes = [reason.cause for reason in parts.ladder.ladder.reasons]
        assert causes == [Cause.DAILY_LOSS], "lasts for the session"
        await watch(parts).saw(Decimal(89_000))
        assert parts.ladder.rung() is Rung.HALTED
