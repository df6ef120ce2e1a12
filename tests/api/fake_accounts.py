"""Two agents: the default one and another, which can be retired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from tradesaga.domain.account import Account, must_be_fit
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import IllegalTransition, NotFound
from tradesaga.domain.fleet import Node
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.ports.accounts import AgentRecord
from tradesaga.ports.nodes import FleetReport

NOON = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
OTHER_ID = AgentId(UUID("01766713-2a80-7000-8000-0000000000a2"))
DEFAULT = AgentRecord(
    account=Account(
        id=DEFAULT_AGENT,
        agent_id=DEFAULT_AGENT,
        name="default",
        trading_engine="http://localhost:3002",
        created_at=NOON,
        created_by="configuration",
    ),
    status=AgentStatus.RUNNING,
    node="http://a",
    is_default=True,
)
OTHER = AgentRecord(
    account=replace(DEFAULT.account, id=OTHER_ID, name="second", trading_engine="http://b:1/x"),
    status=None,
    node="",
)
WHO = Identity(release="1", code="c", configuration="d")
NODE = Node(id="a", url="http://a", identity=WHO, started_at=NOON, leads=(DEFAULT_AGENT,))
FLEET = FleetReport(own_id=NODE.id, nodes=(NODE,), hindrance="")


class FakeAccounts:
    """Implements `ports.accounts.AccountOperations`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    async def agents(self) -> Sequence[AgentRecord]:
        return [DEFAULT, OTHER]

    async def agent(self, agent_id: AgentId) -> AgentRecord:
        for one in (DEFAULT, OTHER):
            if one.account.id == agent_id:
                return one
        raise NotFound(f"there is no agent {agent_id}")

    async def add(self, name: str, trading_engine: str, *, actor: str) -> AgentRecord:
        must_be_fit(name, trading_engine)
        self.calls.append(("add", (name, trading_engine)))
        account = replace(OTHER.account, name=name, trading_engine=trading_engine)
        return replace(OTHER, account=replace(account, created_by=actor))

    async def retire(self, agent_id: AgentId, *, actor: str) -> AgentRecord:
        found = await self.agent(agent_id)
        if found.is_default:
            raise IllegalTransition("the default agent is the configuration's")
        self.calls.append(("retire", agent_id))
        return replace(found, account=replace(found.account, retired_at=NOON))
