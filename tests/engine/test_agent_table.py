"""Every state of the agent times every command: status, reasons, answer, repeat, restart, log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.domain.trades import START
from tests.engine.place import PATIENCE, STRATEGY, Place
from tradesaga.domain.agent import OPERATOR, Agent, AgentStatus, Fail, Mode, Pause
from tradesaga.domain.errors import IllegalTransition, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.assembly import Parts
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.ports.journal import Entry
from tradesaga.ports.lease import Held

S = AgentStatus
WHO, WHY = "ann", "because"
MINUTES = timedelta(minutes=5)
Act = Callable[[Parts], Awaitable[object]]


async def start(parts: Parts) -> Agent:
    return (await parts.control.start(strategies=None, mode=None, actor=WHO)).agent


async def start_bolder(parts: Parts) -> Agent:
    return (await parts.control.start(strategies=None, mode=Mode.AGGRESSIVE, actor=WHO)).agent


async def stop(parts: Parts) -> Agent:
    return (await parts.control.stop(reason=WHY, cancel_open_orders=False, actor=WHO)).agent


async def pause(parts: Parts) -> Agent:
    return await parts.control.pause(duration=None, reason=WHY, actor=WHO)


async def pause_for(parts: Parts) -> Agent:
    return await parts.control.pause(duration=MINUTES, reason=WHY, actor=WHO)


async def resume(parts: Parts) -> Agent:
    return await parts.control.resume(reason=WHY, actor=WHO)


async def pause_by_loss(parts: Parts) -> Agent:
    return await parts.recovery.state.order(
        Pause(reason="loss"), actor="engine", kind="agent.paused", reason="loss of the day"
    )


async def fail(parts: Parts) -> Agent:
    return await parts.recovery.state.order(
        Fail(error="broken"), actor="engine", kind="agent.failed"
    )


async def time_over(parts: Parts) -> Agent:
    return await parts.pause_end.run_once()


STATES: dict[str, tuple[Act, ...]] = {
    "stopped": (),
    "running": (start,),
    "paused": (start, pause),
    "timed": (start, pause_for),
    "paused+loss": (start, pause_for, pause_by_loss),
    "loss": (start, pause_by_loss),
    "error": (start, fail),
}
COMMANDS: dict[str, tuple[Act, str]] = {
    "start": (start, "agent.started"),
    "start bolder": (start_bolder, "agent.started"),
    "stop": (stop, "agent.stopped"),
    "pause": (pause, "agent.paused"),
    "pause for": (pause_for, "agent.paused"),
    "resume": (resume, "agent.resumed"),
    "time over": (time_over, "agent.resumed"),
    "fail": (fail, "agent.failed"),
}
CANNOT_PAUSE, CANNOT_RESUME = "only a running one pauses", "start it instead"
OP, LOSS, BOTH = {OPERATOR}, {"loss"}, {OPERATOR, "loss"}


@dataclass(frozen=True)
class To:
    """Where a command leads; `said` is whether it is news and so in the log."""

    status: AgentStatus
    reasons: frozenset[str] = frozenset()
    timed: bool = False
    said: bool = True


def to(status: AgentStatus, reasons: set[str] | None = None, *, timed: bool = False) -> To:
    return To(status, frozenset(reasons or ()), timed)


def same(status: AgentStatus, reasons: set[str] | None = None, *, timed: bool = False) -> To:
    return To(status, frozenset(reasons or ()), timed, said=False)


RUN, HALT, BAD = to(S.RUNNING), to(S.STOPPED), to(S.ERROR)
# State by state: start, start bolder, stop, pause, pause for, resume, time over, fail.
# `paused` without an end is not ended by time. "BAD" keeps reasons: they are shown, not in force.
TABLE: dict[str, tuple[To | str, ...]] = {
    "stopped": (
        RUN, RUN, same(S.STOPPED), CANNOT_PAUSE, CANNOT_PAUSE, CANNOT_RESUME, same(S.STOPPED), BAD,
    ),
    "running": (
        same(S.RUNNING), RUN, HALT, to(S.PAUSED, OP), to(S.PAUSED, OP, timed=True),
        same(S.RUNNING), same(S.RUNNING), BAD,
    ),
    "paused": (
        same(S.PAUSED, OP), to(S.PAUSED, OP), HALT, same(S.PAUSED, OP),
        to(S.PAUSED, OP, timed=True), RUN, same(S.PAUSED, OP), to(S.ERROR, OP),
    ),
    "timed": (
        same(S.PAUSED, OP, timed=True), to(S.PAUSED, OP, timed=True), HALT, to(S.PAUSED, OP),
        to(S.PAUSED, OP, timed=True), RUN, RUN, to(S.ERROR, OP),
    ),
    "paused+loss": (
        same(S.PAUSED, BOTH, timed=True), to(S.PAUSED, BOTH, timed=True), HALT, to(S.PAUSED, BOTH),
        to(S.PAUSED, BOTH, timed=True), to(S.PAUSED, LOSS), to(S.PAUSED, LOSS), to(S.ERROR, BOTH),
    ),
    "loss": (
        same(S.PAUSED, LOSS), to(S.PAUSED, LOSS), HALT, to(S.PAUSED, BOTH),
        to(S.PAUSED, BOTH, timed=True), same(S.PAUSED, LOSS), same(S.PAUSED, LOSS),
        to(S.ERROR, LOSS),
    ),
    "error": (
        RUN, RUN, HALT, CANNOT_PAUSE, CANNOT_PAUSE, CANNOT_RESUME, same(S.ERROR), same(S.ERROR),
    ),
}  # fmt: skip
CASES = [
    pytest.param(state, name, expected, id=f"{state}: {name}")
    for state, row in TABLE.items()
    for name, expected in zip(COMMANDS, row, strict=True)
]


def stored(place: Place) -> Agent:
    (agent,) = place.store.of(Agent, DEFAULT_AGENT)
    assert isinstance(agent, Agent)
    return agent


def logged(place: Place) -> list[Entry]:
    return [line.entry for line in place.store.log_of(DEFAULT_AGENT)]


@pytest.mark.parametrize(("state", "name", "expected"), CASES)
async def test_every_command_in_every_state(state: str, name: str, expected: To | str) -> None:
    place, (command, kind) = Place(), COMMANDS[name]
    async with place.node() as parts:
        for step in STATES[state]:
            await step(parts)
        place.clock.advance(2 * MINUTES)
        before, length = stored(place), len(logged(place))
        if isinstance(expected, str):
            with pytest.raises(IllegalTransition, match=expected):
                await command(parts)
            assert (stored(place), len(logged(place))) == (before, length), "nothing is written"
            return
        agent = await command(parts)
        assert agent == stored(place), "durable when it answers"
        assert (agent.status, agent.pause_reasons) == (expected.status, expected.reasons)
        assert (agent.resume_at is not None) is expected.timed
        assert len(logged(place)) - length == expected.said
        if expected.said:
            says(logged(place)[-1], name, kind, before, agent)
        assert await command(parts) == agent, "repeated: the same answer"
        assert len(logged(place)) - length == expected.said, "and nothing more in the log"
    async with place.node() as parts:
        assert parts.recovery.state.agent == agent, "a restart changes nothing"


def says(entry: Entry, name: str, kind: str, before: Agent, after: Agent) -> None:
    """The log has who, what, why, from where to where."""
    by_engine = name in ("time over", "fail")
    assert (entry.kind, entry.actor) == (kind, "engine" if by_engine else WHO)
    assert (entry.body["from"], entry.body["to"]) == (before.status, after.status)
    assert entry.body["pauseReasons"] == sorted(after.pause_reasons)
    if name in ("stop", "pause", "pause for", "resume"):
        assert entry.body["reason"] == WHY
    elif name == "time over":
        assert entry.body["reason"] == "the pause has run out"
    elif name == "fail":
        assert entry.body["error"] == "broken"


async def test_a_timed_pause_ends_at_its_moment_while_the_process_runs() -> None:
    place = Place()
    async with place.running() as parts:
        task = asyncio.ensure_future(parts.pause_end.run())
        await pause_for(parts)
        longer = (await parts.control.pause(duration=2 * MINUTES, reason="", actor=WHO)).resume_at
        while stored(place).status is S.PAUSED:
            await place.clock.sleep_until(place.clock.now() + timedelta(seconds=1))
        task.cancel()
        await asyncio.wait([task])
    assert longer == START + 2 * MINUTES
    assert longer <= stored(place).updated_at <= longer + timedelta(seconds=1), (
        "the last one counts"
    )


@pytest.mark.parametrize(
    ("away", "ends"), [(MINUTES - timedelta(seconds=1), False), (MINUTES, True)]
)
async def test_a_pause_that_ran_out_while_nobody_ran_is_over_before_the_first_cycle(
    away: timedelta, ends: bool
) -> None:
    place = Place()
    async with place.running() as parts:
        await pause_for(parts)
    place.clock.advance(away)
    async with place.node() as parts:
        assert (await parts.pause_end.run_once()).status is (S.RUNNING if ends else S.PAUSED)


async def test_the_orchestrator_ends_such_a_pause_before_it_is_ready() -> None:
    place = Place()
    async with place.running() as parts:
        await pause_for(parts)
    place.clock.advance(MINUTES)
    seen: asyncio.Future[AgentControl] = asyncio.get_running_loop().create_future()
    orchestrator = Orchestrator(
        world=place.world(),
        settings=place.settings,
        policy=place.policy,
        strategies=[STRATEGY],
        on_control=seen.set_result,
    )
    stop_now = asyncio.Event()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(orchestrator.run(stop_now))
        await (await seen).ready.wait()
        assert stored(place).status is S.RUNNING
        stop_now.set()


async def test_a_stop_that_failed_before_its_fence_raises_it_when_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    raise_epoch = place.lease.raise_epoch

    async def away(agent_id: AgentId, epoch: int) -> Held:
        raise Unavailable("the database is away")

    async with place.running() as parts:
        epoch = parts.leadership.epoch
        monkeypatch.setattr(place.lease, "raise_epoch", away)
        with pytest.raises(Unavailable):
            await stop(parts)
        assert stored(place).status is S.STOPPED
        monkeypatch.setattr(place.lease, "raise_epoch", raise_epoch)
        await stop(parts)
        assert parts.leadership.epoch == epoch + 1
        await stop(parts)
        assert parts.leadership.epoch == epoch + 1, "once"
