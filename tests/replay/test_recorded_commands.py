"""What persons order during a recorded life is ordered again, and comes to the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.acceptance.running import write_strategies
from tests.replay.scripts import SHORT
from tests.replay.test_recorded import life_of, record
from tests.replay.test_recorded_past import rerun_with_store
from tradesaga.bootstrap.scripting import ScriptOptions, configuration, script_of
from tradesaga.domain.agent import Mode
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.cycle import Cycle, CycleStatus, TriggeredBy
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import IllegalTransition, Invalid, Stale, Unavailable
from tradesaga.domain.ladder import EVERYWHERE, Rung, Scope, ScopeKind
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.orders import Order
from tradesaga.domain.schedule import Schedule, ScheduleType
from tradesaga.domain.strategies import Edit, Strategy
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.world import World
from tradesaga.ports.schedule_operations import NewSchedule, ScheduleChanges
from tradesaga.ports.strategy_operations import NewStrategy
from tradesaga.replay import rerunning
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.commanding import Commands
from tradesaga.replay.commands import COMMANDS, PORTS
from tradesaga.replay.playing import Run, Script
from tradesaga.replay.rerunning import Life
from tradesaga.replay.tape import Line, files_of


def eager_script(directory: Path, environment: Mapping[str, str] | None = None) -> Script:
    """With strategies that trade every few minutes."""
    options = ScriptOptions(
        begin=SHORT[0], end=SHORT[1] + 20 * MINUTE, strategies=write_strategies(directory)
    )
    return script_of(options, configuration(options, environment or {}).settings)


Ports = Mapping[str, Any]
MINUTE = timedelta(minutes=1)
ME = "token:7"
SPY = Scope(ScopeKind.SYMBOL, "SPY")


async def at_minute(clock: PlayedClock, minutes: float) -> None:
    await clock.sleep_until(SHORT[0] + minutes * MINUTE)


async def a_busy_day(ports: Ports, clock: PlayedClock) -> None:
    """Commands of nearly every kind, some of them refused."""
    operations, strategies, schedules = ports["operations"], ports["strategies"], ports["schedules"]
    [first, second] = await operations.strategies()
    await at_minute(clock, 2.3)
    await strategies.update(first.strategy.external_id, Edit(priority=5), actor=ME)
    await ports["risk"].change_limits(
        Mode.NORMAL, {"ordersPerMinute": 3, "orderNotionalPercent": Decimal(3)},
        expires_at=SHORT[0] + 10 * MINUTE, revision=None, actor=ME, reason="quieter",
    )  # fmt: skip
    with pytest.raises(Invalid):
        await ports["risk"].change_limits(
            Mode.NORMAL, {"noSuch": 3}, expires_at=None, revision=None, actor=ME, reason="x"
        )
    await at_minute(clock, 4.2)
    new = NewSchedule(
        strategy=second.strategy.external_id, schedule_type=ScheduleType.INTERVAL, value="2m"
    )
    added = await schedules.add(new, actor=ME)
    await schedules.change(added.schedule.id, ScheduleChanges(priority=3), actor=ME)
    await schedules.trigger(added.schedule.id, actor=ME)
    await at_minute(clock, 6.4)
    await schedules.analyse(first.strategy.external_id, None, actor=ME)
    await at_minute(clock, 21.3)
    [cycle, *_] = await operations.cycles(limit=1, status=CycleStatus.COMPLETED)
    with pytest.raises(IllegalTransition):  # and not NotFound: cycles have the ids they had
        await operations.cancel_cycle(cycle.id, reason="too late", actor=ME)
    await ports["ladder"].kill(SPY, reason="odd prices", who=ME, rung=Rung.HALTED)
    await at_minute(clock, 23.3)
    await ports["ladder"].rearm(SPY, operator="ada", reason="they were right")
    await strategies.create(
        NewStrategy(
            name="late-one", type="breakout", symbols=["SPY"],
            parameters={"period": 3, "exit_period": 2, "exit_before_close_minutes": 0},
        ), actor=ME,
    )  # fmt: skip
    await strategies.activate("late-one", actor=ME)
    await at_minute(clock, 25.5)
    await operations.stop(reason="enough", cancel_open_orders=True, actor=ME)
    await at_minute(clock, 26.3)
    await operations.start(strategies=None, mode=Mode.AGGRESSIVE, actor=ME)
    await at_minute(clock, 37.2)
    await strategies.deactivate(second.strategy.external_id, close_positions=True, actor=ME)
    await strategies.deactivate("late-one", close_positions=True, actor=ME)
    await strategies.activate(second.strategy.external_id, actor=ME)
    await at_minute(clock, 43.5)
    await operations.pause(duration=MINUTE, actor=ME, reason="lunch")
    await at_minute(clock, 46.6)
    await operations.pause(duration=None, actor=ME)
    await operations.resume(actor=ME, reason="back")
    await at_minute(clock, 52.5)
    for sums in await ports["sagas"].positions():
        if sums.quantity:
            await ports["sagas"].close_position(sums.symbol, reason="too much", actor=ME)
    await ports["retention"].run_once(actor=ME)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Life, Run]:
    directory = tmp_path_factory.mktemp("busy")
    run = record(eager_script(directory), directory, orders=a_busy_day)
    assert run.store.of(Order, run.script.settings.agent_id)
    return life_of(files_of(directory)[0]), run


def test_a_day_of_commands_is_replayed_to_the_same_decisions_and_orders(
    busy: tuple[Life, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    life, run = busy
    agent_id = life.settings.agent_id
    found, store = rerun_with_store(life, monkeypatch)
    assert found.divergences == []
    assert {o.client_order_id: o for o in run.store.of(Order, agent_id)}.keys() == {
        o.client_order_id for o in store.of(Order, agent_id)
    }
    assert store.positions == run.store.positions
    assert [s.id for s in store.of(Schedule, agent_id)] == [
        s.id for s in run.store.of(Schedule, agent_id)
    ]
    assert [c.limits for c in store.of(LimitChange, agent_id)] == [
        c.limits for c in run.store.of(LimitChange, agent_id)
    ]
    named = {s.id: (s.status, s.priority, s.closing_at) for s in store.of(Strategy, agent_id)}
    assert named == {
        s.id: (s.status, s.priority, s.closing_at) for s in run.store.of(Strategy, agent_id)
    }
    manual = [c.id for c in store.of(Cycle, agent_id) if c.triggered_by is TriggeredBy.MANUAL]
    assert manual
    assert manual == [
        c.id for c in run.store.of(Cycle, agent_id) if c.triggered_by is TriggeredBy.MANUAL
    ]


def test_without_its_commands_the_day_comes_out_differently(busy: tuple[Life, Run]) -> None:
    life, _ = busy
    started = [line for line in life.lines if line.kind == "command"][:1]
    lines = [line for line in life.lines if line.kind != "command"] + started
    found = rerunning.rerun(replace(life, lines=sorted(lines, key=lambda line: line.at)))
    assert found.divergences


@pytest.mark.parametrize(
    "left_out",
    [
        "risk.change_limits", "operations.pause", "ladder.kill", "operations.stop",
        "strategies.deactivate", "sagas.close_position", "schedules.trigger", "schedules.add",
    ],
)  # fmt: skip
def test_each_command_counts(busy: tuple[Life, Run], left_out: str) -> None:
    life, _ = busy
    lines = [line for line in life.lines if line.name != left_out]
    assert len(lines) < len(life.lines)
    assert rerunning.rerun(replace(life, lines=lines)).divergences


def test_another_outcome_is_named(busy: tuple[Life, Run]) -> None:
    life, _ = busy

    def refused(line: Line) -> Line:
        is_pause = line.kind == "outcome" and line.code == number
        told = msgspec.Raw(b'"no reason"')
        return msgspec.structs.replace(line, name="Invalid", body=told) if is_pause else line

    number = next(line.code for line in life.lines if line.name == "operations.pause")
    found = rerunning.rerun(replace(life, lines=[refused(line) for line in life.lines]))
    [one] = [one for one in found.divergences if one.what.startswith("command")]
    assert (one.recorded, one.replayed) == ("Invalid: no reason", "done")


def test_what_cannot_be_given_again_is_named(busy: tuple[Life, Run]) -> None:
    life, _ = busy
    at = SHORT[0] + MINUTE
    given = [
        Line(at=at, kind="command", monotonic=1.0, name="dead_letters.replay", key="7", code="90"),
        Line(at=at, kind="command", monotonic=1.0, name="fate.tempt", key="7", code="91"),
    ]
    lines = [*life.lines, *given]
    found = rerunning.rerun(replace(life, lines=lines))
    assert [(one.recorded, one.replayed) for one in found.divergences] == [
        ("given", "not known to the replay")
    ] * 2


@pytest.mark.parametrize("error", [Unavailable("away"), Stale("moved on")])
async def test_what_had_no_effect_is_not_given_again(error: Exception) -> None:
    name = type(error).__name__
    at = SHORT[0]
    given: list[object] = []

    class Control:
        def __getattr__(self, name: str) -> Any:
            return given.append

    lines = [
        Line(at=at, kind="command", monotonic=0.0, name="operations.resume", code="1"),
        Line(at=at, kind="outcome", monotonic=0.0, name=name, code="1"),
    ]
    commands = Commands(None, lines)  # type: ignore[arg-type]  # it is never asked
    async with asyncio.TaskGroup() as group:
        commands.come(lines[0], Control(), group)  # type: ignore[arg-type]  # nor is this
    assert not given
    assert not commands.divergences


# ---- approvals -----------------------------------------------------------------------------------

SEMI_AUTO = {"ORCHESTRATOR__TRADING__EXECUTIONMODE": "SEMI_AUTO"}


async def answer_what_is_asked(ports: Ports, clock: PlayedClock) -> None:
    """Approve the first question, deny the second, and so on; each a minute later."""
    answers = 0
    for minute in range(1, 55):
        await at_minute(clock, minute + 0.6)
        waiting = await ports["approvals"].approvals(limit=10, state=ApprovalState.PENDING)
        for one in waiting:
            answer = ports["approvals"].deny if answers % 2 else ports["approvals"].approve
            answers += 1
            with suppress(IllegalTransition):
                await answer(one.id, by="ada", reason="looked at it", actor=ME)


def test_approvals_are_given_and_denied_again(tmp_path: Path) -> None:
    run = record(eager_script(tmp_path, SEMI_AUTO), tmp_path, orders=answer_what_is_asked)
    agent_id = run.script.settings.agent_id
    states = [one.state for one in run.store.of(Approval, agent_id)]
    assert {ApprovalState.CONSUMED, ApprovalState.DENIED} <= set(states)
    assert run.store.of(Order, agent_id)
    life = replace(life_of(files_of(tmp_path)[0]), settings=run.script.settings)
    found = rerunning.rerun(life)
    assert found.divergences == []
    assert found.orders == len(run.store.of(Order, agent_id))

    silent = [line for line in life.lines if not line.name.startswith("approvals.")]
    assert rerunning.rerun(replace(life, lines=silent)).orders < found.orders


# ---- the kill switch on disk ---------------------------------------------------------------------


class Marks:
    """A machine on which somebody leaves a mark in the middle of the day."""

    def __init__(self, gate: SendGate) -> None:
        self._gate = gate
        self._standing: frozenset[Scope] = frozenset()
        self._noticed: Callable[[Sequence[Scope]], None] | None = None

    def watch(self, noticed: Callable[[Sequence[Scope]], None]) -> None:
        self._noticed = noticed

    def leave(self, scope: Scope) -> None:
        assert self._noticed is not None
        self._standing |= {scope}
        self._gate.mark(self._standing)
        self._noticed((scope,))

    async def set(self, scope: Scope, content: object) -> bool:
        return True

    async def clear(self, scope: Scope) -> None:
        self._standing -= {scope}
        self._gate.mark(self._standing)

    async def report(self, content: object) -> None:
        return None


def test_a_mark_on_the_machine_halts_again(tmp_path: Path) -> None:
    found: list[Marks] = []

    def on_a_machine(world: World) -> World:
        found.append(Marks(world.gate))
        return replace(world, marks=found[0])

    async def leave_a_mark(ports: Ports, clock: PlayedClock) -> None:
        await at_minute(clock, 12.3)
        found[0].leave(EVERYWHERE)
        await at_minute(clock, 28.3)
        await ports["ladder"].rearm(EVERYWHERE, operator="ada", reason="it was a drill")

    run = record(eager_script(tmp_path), tmp_path, on_a_machine, orders=leave_a_mark)
    halted = [d for d in run.store.of(Decision, run.script.settings.agent_id) if _is_halted(d)]
    assert halted
    life = life_of(files_of(tmp_path)[0])
    assert rerunning.rerun(life).divergences == []
    unmarked = [line for line in life.lines if line.kind != "mark"]
    assert rerunning.rerun(replace(life, lines=unmarked)).divergences


def _is_halted(decision: Decision) -> bool:
    return any(denial.code == "LADDER" for denial in decision.denials)


# ---- how commands are written --------------------------------------------------------------------


def test_every_method_that_names_who_orders_is_a_command() -> None:
    named = {
        f"{port}.{name}"
        for port, protocol in PORTS.items()
        for name, method in vars(protocol).items()
        if {"actor", "who", "operator"} & set(getattr(method, "__annotations__", ()))
    }
    assert set(COMMANDS) == named
    assert len(named) >= 28


def test_exact_numbers_come_back_exact() -> None:
    new = NewStrategy(
        name="x", type="breakout", symbols=("SPY",),
        parameters={"a": Decimal("0.10"), "b": Decimal(5), "c": 5, "d": "5", "e": True},
    )  # fmt: skip
    command = COMMANDS["strategies.create"]
    body = msgspec.json.encode(command.written(new, actor=ME))
    read = command.read(msgspec.Raw(body))["new"]
    assert {k: (type(v), v) for k, v in read.parameters.items()} == {
        k: (type(v), v) for k, v in new.parameters.items()
    }


def test_arguments_of_another_version_are_refused() -> None:
    with pytest.raises(Invalid, match=r"operations\.pause was recorded by another version"):
        COMMANDS["operations.pause"].read(msgspec.Raw(b'{"duration": "long"}'))
