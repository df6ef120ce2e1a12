"""The agent machine: what the operator wants, and why it may not enter positions.

    STOPPED --start--> RUNNING --pause--> PAUSED --resume, resume_at--> RUNNING
       ^                  |                  |
       +------stop--------+------stop--------+        any --fail--> ERROR --start, stop--> ...

    status \\ command   start      stop      pause     resume    elapse     fail
    STOPPED            RUNNING    same      refused   refused   same       ERROR
    RUNNING            same       STOPPED   PAUSED    same      same       ERROR
    PAUSED             same       STOPPED   PAUSED    RUNNING*  RUNNING*+  ERROR
    ERROR              RUNNING    STOPPED   refused   refused   same       same

    * resume clears the operator's reason; the agent runs again when no reason is left.
    + only when `resume_at` is reached; a pause that was prolonged meanwhile stands.

"same" answers as if it had been done: every command may be repeated. Start on a paused agent
answers with what stands; a pause ends by resume or by its time. A crash changes nothing here: an
agent that was running runs on. A pause forbids entries; exits, sagas and heartbeats go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import AgentId


class AgentStatus(StrEnum):
    """The four of the API."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    ERROR = "error"


class Mode(StrEnum):
    """The risk profile."""

    NORMAL = "normal"
    CONSERVATIVE = "conservative"
    AGGRESSIVE = "aggressive"


OPERATOR = "operator"
"""The pause reason that resume clears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One account and its strategies. `version` counts the commits of this row."""

    id: AgentId
    name: str
    updated_at: datetime
    status: AgentStatus = AgentStatus.STOPPED
    mode: Mode = Mode.NORMAL
    pause_reasons: frozenset[str] = frozenset()
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    paused_at: datetime | None = None
    resume_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCounts:
    """Figures since the agent was made; they are added to, never set."""

    cycles_completed: int = 0
    decisions_generated: int = 0
    orders_executed: int = 0
    errors_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Run; `mode` None keeps the profile as it is."""

    mode: Mode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stay stopped until a start, also after a restart of the process."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No entries, until `resume_at` if it is given; the last command sets it."""

    reason: str = OPERATOR
    resume_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Clear one pause reason."""

    reason: str = OPERATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapse:
    """End the operator's pause if its time is over, which only the latest state can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The agent must not go on by itself."""

    error: str


Command = Start | Stop | Pause | Resume | Elapse | Fail


def command(agent: Agent, order: Command, now: datetime) -> Agent:
    """The agent after `order`; the same value when it stands as ordered already.

    Raises:
        IllegalTransition: the agent cannot do that from its present status.
    """
    match order:
        case Start():
            after = _started(agent, order, now)
        case Stop():
            after = _stopped(agent, now)
        case Pause():
            after = _paused(agent, order, now)
        case Resume():
            after = _resumed(agent, order)
        case Elapse():
            after = _resumed(agent, Resume()) if is_due_to_resume(agent, now) else agent
        case Fail():
            after = _failed(agent, order, now)
        case _:
            assert_never(order)
    return agent if after == agent else replace(after, version=agent.version + 1, updated_at=now)


def is_due_to_resume(agent: Agent, now: datetime) -> bool:
    """Whether a timed pause has run out."""
    return (
        agent.status is AgentStatus.PAUSED
        and agent.resume_at is not None
        and agent.resume_at <= now
    )


def may_enter(agent: Agent) -> bool:
    """Whether entries are allowed at all."""
    return agent.status is AgentStatus.RUNNING


def _started(agent: Agent, order: Start, now: datetime) -> Agent:
    if agent.status in (AgentStatus.RUNNING, AgentStatus.PAUSED):
        return replace(agent, mode=order.mode or agent.mode)
    return replace(
        agent,
        status=AgentStatus.RUNNING,
        mode=order.mode or agent.mode,
        started_at=now,
        stopped_at=None,
        paused_at=None,
        resume_at=None,
        pause_reasons=frozenset(),
    )


def _stopped(agent: Agent, now: datetime) -> Agent:
    if agent.status is AgentStatus.STOPPED:
        return agent
    return replace(
        agent,
        status=AgentStatus.STOPPED,
        stopped_at=now,
        paused_at=None,
        resume_at=None,
        pause_reasons=frozenset(),
    )


def _paused(agent: Agent, order: Pause, now: datetime) -> Agent:
    if agent.status not in (AgentStatus.RUNNING, AgentStatus.PAUSED):
        raise IllegalTransition(f"agent {agent.name} is {agent.status}, only a running one pauses")
    resume_at = order.resume_at if order.reason == OPERATOR else agent.resume_at
    return replace(
        agent,
        status=AgentStatus.PAUSED,
        paused_at=agent.paused_at or now,
        resume_at=resume_at,
        pause_reasons=agent.pause_reasons | {order.reason},
    )


def _resumed(agent: Agent, order: Resume) -> Agent:
    if agent.status is AgentStatus.RUNNING:
        return agent
    if agent.status is not AgentStatus.PAUSED:
        raise IllegalTransition(f"agent {agent.name} is {agent.status}, start it instead")
    left = agent.pause_reasons - {order.reason}
    resume_at = None if order.reason == OPERATOR else agent.resume_at
    if left:
        return replace(agent, pause_reasons=left, resume_at=resume_at)
    return replace(
        agent, status=AgentStatus.RUNNING, pause_reasons=left, paused_at=None, resume_at=None
    )


def _failed(agent: Agent, order: Fail, now: datetime) -> Agent:
    if agent.status is AgentStatus.ERROR and agent.last_error == order.error:
        return agent
    return replace(
        agent, status=AgentStatus.ERROR, last_error=order.error, last_error_at=now, resume_at=None
    )
