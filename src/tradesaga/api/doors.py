"""What the handlers of one agent speak to; the paths are the same for all agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

from litestar.di import Provide
from litestar.types import Scope

from tradesaga.domain.ids import AgentId
from tradesaga.ports.approval_operations import ApprovalOperations
from tradesaga.ports.dead_letters import DeadLetterOperations
from tradesaga.ports.event_feed import EventFeed
from tradesaga.ports.history import History
from tradesaga.ports.ladder_operations import LadderOperations
from tradesaga.ports.operations import Operations
from tradesaga.ports.repeat_operations import RepeatOperations
from tradesaga.ports.retention_operations import RetentionOperations
from tradesaga.ports.risk_operations import RiskOperations
from tradesaga.ports.saga_operations import SagaOperations
from tradesaga.ports.schedule_operations import ScheduleOperations
from tradesaga.ports.strategy_operations import StrategyOperations

STATE: Final = "doors"
"""Where the doors of a request stand in its state; the default agent's stand nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The driving ports of one agent, under the names that the handlers ask for."""

    operations: Operations
    sagas: SagaOperations
    retention: RetentionOperations
    risk: RiskOperations
    approvals: ApprovalOperations
    feed: EventFeed
    history: History
    dead_letters: DeadLetterOperations
    strategies: StrategyOperations
    schedules: ScheduleOperations
    ladder: LadderOperations
    repeats: RepeatOperations


class AgentDoors(Protocol):
    """The agents of this node beside the default one."""

    def of(self, agent_id: AgentId) -> Doors | None:
        """The doors of the agent; None for the default one.

        Those of an agent that is not driven here raise Unavailable, but for its events and its
        history, which can be read.

        Raises:
            NotFound: there is no such agent.
        """
        ...


def doors_in(state: Mapping[str, Any], own: Doors) -> Doors:
    """Those that the request is for; `own` are the default agent's."""
    found: Doors = state.get(STATE, own)
    return found


def provided(own: Doors) -> Mapping[str, Provide]:
    """What gives the handlers the ports of the agent that the request is for."""

    def port(name: str) -> Callable[[Scope], Any]:
        def find(scope: Scope) -> Any:
            return getattr(doors_in(scope["state"], own), name)

        return find

    names = (one.name for one in fields(Doors) if one.name != "repeats")
    return {name: Provide(port(name), sync_to_thread=False) for name in names}
