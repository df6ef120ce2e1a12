"""The agents: list, make, look at one, retire. What one of them does is below its own path."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, SkipValidation
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.pages import ALL_AT_ONCE, Cursor, Limit, cut
from tradesaga.api.problems import failures
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.account import NAME, URL_CHARACTERS_MAX
from tradesaga.domain.ids import AgentId
from tradesaga.ports.accounts import AccountOperations, AgentRecord

AccountsPort = NamedDependency[SkipValidation[AccountOperations]]
TAGS: Final = ["agents"]

AgentName = Annotated[str, PathParameter(name="agentId", description="the id of an agent")]


class AddAgentRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of addAgent."""

    name: Annotated[
        str,
        Meta(
            pattern=f"^{NAME.pattern}$",
            description="its name: 1 to 64 letters, digits, dots, dashes, underscores",
        ),
    ]
    trading_engine: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=URL_CHARACTERS_MAX,
            description="the address of the trading engine of its account, of no other agent's",
            examples=["http://127.0.0.1:3001"],
        ),
    ]


class AgentAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One agent; `status` is null before it was driven, `node` empty while nobody drives it."""

    id: str
    name: str
    is_default: bool
    status: str | None
    trading_engine: str
    node: str
    created_at: Timestamp
    created_by: str
    retired_at: Timestamp | None


class AgentsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of agents: the default one, then the others in order of creation."""

    agents: list[AgentAnswer]
    next_cursor: str | None


@get(
    "/agents",
    operation_id="listAgents",
    summary="List the agents",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_agents(
    accounts: AccountsPort, limit: Limit = ALL_AT_ONCE, cursor: Cursor = None
) -> AgentsAnswer:
    """All agents, the retired ones too, and the node that drives each."""
    page, following = cut("agents", await accounts.agents(), limit, cursor, _key)
    return AgentsAnswer(agents=[_answer(one) for one in page], next_cursor=following)


@get(
    "/agents/{agentId:str}",
    operation_id="getAgent",
    summary="Look at one agent",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def get_agent(accounts: AccountsPort, agent_id: AgentName) -> AgentAnswer:
    """One agent; all that it does is below this path, as the default agent's is below /api/v1."""
    return _answer(await accounts.agent(_id_of(agent_id)))


@post(
    "/agents",
    operation_id="addAgent",
    summary="Make an agent",
    responses=failures(400, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def add_agent(
    accounts: AccountsPort, actor: Actor, data: JSONBody[AddAgentRequest]
) -> AgentAnswer:
    """Make an agent for an account; a node drives it within a second, and it is stopped then."""
    return _answer(await accounts.add(data.name, data.trading_engine, actor=actor))


@post(
    "/agents/{agentId:str}/retire",
    operation_id="retireAgent",
    summary="Retire an agent",
    responses=failures(400, 404, 409, 503),
    status_code=200,
    tags=TAGS,
)
async def retire_agent(accounts: AccountsPort, actor: Actor, agent_id: AgentName) -> AgentAnswer:
    """Never drive an agent again that is stopped and has nothing open; its rows stay."""
    return _answer(await accounts.retire(_id_of(agent_id), actor=actor))


def _id_of(agent_id: str) -> AgentId:
    return AgentId(uuid_of("agentId", agent_id, "an agent"))


def _key(record: AgentRecord) -> tuple[int | str, ...]:
    account = record.account
    return int(not record.is_default), stamp(account.created_at), str(account.id)


def _answer(record: AgentRecord) -> AgentAnswer:
    account = record.account
    return AgentAnswer(
        id=str(account.id),
        name=account.name,
        is_default=record.is_default,
        status=record.status,
        trading_engine=account.trading_engine,
        node=record.node,
        created_at=stamp(account.created_at),
        created_by=account.created_by,
        retired_at=stamp_or_none(account.retired_at),
    )
