"""Commands bound to a version: the books look under their own lock, and do nothing if it moved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tests.engine.place import Place
from tests.engine.test_analysis_cycle import new_place, trading
from tradesaga.domain.agent import AgentStatus, Mode
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.errors import Stale
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.schedule import ScheduleType
from tradesaga.domain.strategies import Edit
from tradesaga.engine.assembly import Parts
from tradesaga.ports.schedule_operations import NewSchedule, ScheduleChanges

Command = Callable[[AsRead], Awaitable[object]]


def test_only_one_of_the_versions_that_were_read_will_do() -> None:
    must_be_as_read("it", 3, None)
    must_be_as_read("it", 3, frozenset({2, 3}))
    for read in (frozenset({2, 4}), frozenset[int]()):
        with pytest.raises(Stale, match="at version 3"):
            must_be_as_read("it", 3, read)


async def refused_then_done(place: Place, command: Command, version: int) -> None:
    """Refused without a trace under other versions, done under its own."""
    before = len(place.store.log_of(DEFAULT_AGENT))
    with pytest.raises(Stale):
        await command(frozenset({version - 1, version + 1}))
    assert len(place.store.log_of(DEFAULT_AGENT)) == before
    await command(frozenset({version}))
    assert len(place.store.log_of(DEFAULT_AGENT)) > before
    with pytest.raises(Stale):
        await command(frozenset({version}))


def commands(parts: Parts) -> list[tuple[str, Command]]:
    control = parts.control
    return [
        ("pause", lambda read: control.pause(duration=None, actor="op", as_read=read)),
        ("resume", lambda read: control.resume(actor="op", as_read=read)),
        (
            "stop",
            lambda read: control.stop(
                reason="", cancel_open_orders=False, actor="op", as_read=read
            ),
        ),
        (
            "start",
            lambda read: control.start(
                strategies=["no such"] if read and 0 in read else None,
                mode=Mode.NORMAL,
                actor="op",
                as_read=read,
            ),
        ),
    ]


async def test_commands_on_the_agent() -> None:
    place = Place()
    async with place.running() as parts:
        for _, command in commands(parts):
            agent = (await parts.control.status()).agent
            await refused_then_done(place, command, agent.version)
        assert (await parts.control.status()).agent.status is AgentStatus.RUNNING


async def test_commands_on_strategies_schedules_and_limits() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        control, schedules = parts.control.strategy_control, parts.control.schedules
        name = (await parts.control.strategies())[0].strategy.external_id
        found = await control.strategy(name)
        await refused_then_done(
            place,
            lambda read: control.update(name, Edit(priority=7), actor="op", as_read=read),
            found.strategy.version,
        )
        new = NewSchedule(strategy=name, schedule_type=ScheduleType.CRON, value="0 10 * * 1-5")
        made = (await schedules.add(new, actor="op")).schedule
        await refused_then_done(
            place,
            lambda read: schedules.change(
                made.id, ScheduleChanges(priority=1), actor="op", as_read=read
            ),
            made.version,
        )
        await refused_then_done(
            place,
            lambda read: parts.control.risk.change_limits(
                Mode.NORMAL,
                {"positionPercent": Decimal(12)},
                expires_at=None,
                revision=None,
                actor="op",
                reason="x",
                confirmed=True,
                as_read=read,
            ),
            0,
        )
