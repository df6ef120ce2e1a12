"""The agent machine: the whole table of status and command, repeats, reasons, timed pauses."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import SECOND, START
from tradesaga.domain import agent as machine
from tradesaga.domain.agent import (
    OPERATOR,
    Agent,
    AgentStatus,
    Command,
    Elapse,
    Fail,
    Mode,
    Pause,
    Resume,
    Start,
    Stop,
)
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import DEFAULT_AGENT

S = AgentStatus
STOPPED = Agent(id=DEFAULT_AGENT, name="default", updated_at=START)


def ordered(agent: Agent, *orders: Command) -> Agent:
    for order in orders:
        agent = machine.command(agent, order, START + SECOND)
    return agent


RUNNING = ordered(STOPPED, Start())
AGENTS = {
    S.STOPPED: STOPPED,
    S.RUNNING: RUNNING,
    S.PAUSED: ordered(RUNNING, Pause()),
    S.ERROR: ordered(RUNNING, Fail(error="broken")),
}
COMMANDS: tuple[Command, ...] = (
    Start(),
    Stop(),
    Pause(),
    Resume(),
    Elapse(),
    Fail(error="broken"),
)
REFUSED = None
TABLE: dict[AgentStatus, tuple[AgentStatus | None, ...]] = {
    # Start, Stop, Pause, Resume, Elapse (of a pause without an end), Fail
    S.STOPPED: (S.RUNNING, S.STOPPED, REFUSED, REFUSED, S.STOPPED, S.ERROR),
    S.RUNNING: (S.RUNNING, S.STOPPED, S.PAUSED, S.RUNNING, S.RUNNING, S.ERROR),
    S.PAUSED: (S.PAUSED, S.STOPPED, S.PAUSED, S.RUNNING, S.PAUSED, S.ERROR),
    S.ERROR: (S.RUNNING, S.STOPPED, REFUSED, REFUSED, S.ERROR, S.ERROR),
}


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_the_table(status: AgentStatus, number: int) -> None:
    agent, order, expected = AGENTS[status], COMMANDS[number], TABLE[status][number]
    if expected is REFUSED:
        with pytest.raises(IllegalTransition, match=f"agent default is {status}"):
            ordered(agent, order)
        return
    after = ordered(agent, order)
    assert after.status is expected
    if after == agent:
        assert after is agent, "as it stands already: nothing to commit"
    else:
        assert (after.version, after.updated_at) == (agent.version + 1, START + SECOND)


@pytest.mark.parametrize(
    ("status", "order"), [(s, o) for s, o in product(S, COMMANDS) if TABLE[s][COMMANDS.index(o)]]
)
def test_every_command_may_be_repeated(status: AgentStatus, order: Command) -> None:
    once = ordered(AGENTS[status], order)
    assert ordered(once, order) is once


def test_start_sets_the_mode_and_begins_the_uptime() -> None:
    agent = ordered(STOPPED, Start(mode=Mode.CONSERVATIVE))
    assert (agent.mode, agent.started_at) == (Mode.CONSERVATIVE, START + SECOND)
    assert ordered(agent, Start()).mode is Mode.CONSERVATIVE, "None keeps it"
    faster = ordered(agent, Start(mode=Mode.AGGRESSIVE))
    assert (faster.mode, faster.started_at) == (Mode.AGGRESSIVE, agent.started_at)


def test_start_does_not_end_a_pause() -> None:
    assert ordered(AGENTS[S.PAUSED], Start()).status is S.PAUSED


def test_resume_clears_its_reason_and_the_agent_waits_for_the_others() -> None:
    agent = ordered(RUNNING, Pause(), Pause(reason="loss"))
    assert agent.pause_reasons == {OPERATOR, "loss"}
    agent = ordered(agent, Resume())
    assert (agent.status, agent.pause_reasons) == (S.PAUSED, frozenset({"loss"}))
    agent = ordered(agent, Resume(reason="loss"))
    assert (agent.status, agent.pause_reasons) == (S.RUNNING, frozenset())
    assert agent.paused_at is None


def test_a_reason_that_is_not_there_is_cleared_without_effect() -> None:
    paused = AGENTS[S.PAUSED]
    assert ordered(paused, Resume(reason="loss")) is paused


def test_the_last_command_sets_how_long_a_pause_lasts() -> None:
    timed = ordered(RUNNING, Pause(resume_at=START + 60 * SECOND))
    longer = ordered(timed, Pause(resume_at=START + 90 * SECOND))
    assert longer.resume_at == START + 90 * SECOND
    assert longer.paused_at == timed.paused_at, "one pause, extended"
    assert ordered(longer, Pause()).resume_at is None, "until resume"


def test_a_pause_for_another_reason_keeps_the_operators_time() -> None:
    timed = ordered(RUNNING, Pause(resume_at=START + 60 * SECOND), Pause(reason="loss"))
    assert timed.resume_at == START + 60 * SECOND
    resumed = ordered(timed, Resume())
    assert (resumed.status, resumed.resume_at) == (S.PAUSED, None)


@pytest.mark.parametrize(("seconds", "due"), [(59, False), (60, True), (61, True)])
def test_a_timed_pause_runs_out(seconds: int, due: bool) -> None:
    timed = ordered(RUNNING, Pause(resume_at=START + 60 * SECOND))
    now = START + seconds * SECOND
    assert machine.is_due_to_resume(timed, now) is due
    assert (machine.command(timed, Elapse(), now).status is S.RUNNING) is due


def test_the_end_of_a_pause_spares_one_that_was_prolonged_meanwhile() -> None:
    timed = ordered(RUNNING, Pause(resume_at=START + 60 * SECOND))
    longer = ordered(timed, Pause(resume_at=START + 90 * SECOND))
    assert machine.command(longer, Elapse(), START + 60 * SECOND) is longer


def test_the_end_of_a_pause_clears_the_operators_reason_alone() -> None:
    timed = ordered(RUNNING, Pause(resume_at=START + 60 * SECOND), Pause(reason="loss"))
    after = machine.command(timed, Elapse(), START + 60 * SECOND)
    assert (after.status, after.pause_reasons) == (S.PAUSED, frozenset({"loss"}))
    assert after.resume_at is None


def test_the_same_failure_told_again_is_no_news_and_another_one_is() -> None:
    failed = AGENTS[S.ERROR]
    later = START + 60 * SECOND
    assert machine.command(failed, Fail(error="broken"), later) is failed
    assert machine.command(failed, Fail(error="worse"), later).last_error == "worse"


def test_only_a_timed_pause_runs_out() -> None:
    for agent in AGENTS.values():
        assert not machine.is_due_to_resume(agent, START + 9999 * SECOND)
    stopped = replace(STOPPED, resume_at=START)
    assert not machine.is_due_to_resume(stopped, START)


def test_stop_and_failure_leave_no_pause_that_ends_by_itself() -> None:
    timed = ordered(RUNNING, Pause(resume_at=START))
    for order in (Stop(), Fail(error="x")):
        assert ordered(timed, order).resume_at is None
    assert ordered(timed, Stop()).pause_reasons == frozenset()


def test_start_after_an_error_keeps_what_the_error_was() -> None:
    agent = ordered(AGENTS[S.ERROR], Start())
    assert (agent.status, agent.last_error) == (S.RUNNING, "broken")


@given(
    st.lists(st.sampled_from((*COMMANDS, Pause(reason="loss"), Resume(reason="loss"))), max_size=12)
)
def test_laws_of_every_run(orders: list[Command]) -> None:
    agent = STOPPED
    for order in orders:
        before = agent
        try:
            agent = ordered(agent, order)
        except IllegalTransition:
            continue
        assert agent.version - before.version == (agent is not before)
        assert machine.may_enter(agent) == (agent.status is S.RUNNING)
        if agent.status is S.PAUSED:
            assert agent.pause_reasons
            assert agent.paused_at is not None
        if agent.status in (S.RUNNING, S.STOPPED):
            assert not agent.pause_reasons
            assert agent.paused_at is None
