"""Halting all agents on all nodes: one command, asked of any node, safe without the database.

The node that is asked halts its own and asks every other node that it knows to do the same. What
no node answered for is named, so that nobody takes silence for a halt; asked again, it is tried
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import structlog
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.forwarding import MARK
from tradesaga.api.ladder import KilledAnswer, PlainText, killed_answer
from tradesaga.api.problems import failures
from tradesaga.api.requests import OptionalBody
from tradesaga.domain.errors import TradesagaError, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.ports.halt_operations import HaltedAgent, HaltOperations, NamedAgent
from tradesaga.ports.nodes import Passed, Peers

HaltPort = NamedDependency[SkipValidation[HaltOperations]]
PeersPort = NamedDependency[SkipValidation[Peers]]
PATH: Final = "/agents/kill"
PEER_SECONDS_MAX: Final = 2.0
"""A node that has not answered by then is named as silent."""
_log = structlog.get_logger()


class KillAllRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of killAll; every field is optional."""

    reason: PlainText = ""
    who: PlainText = ""
    everywhere: Annotated[
        bool, Meta(description="false: only the agents that the asked node drives")
    ] = True


class AgentName(Struct, frozen=True, kw_only=True, rename="camel"):
    """An agent."""

    agent_id: str
    name: str


class KilledAgentAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An agent that is halted."""

    agent_id: str
    name: str
    killed: KilledAnswer


class KilledAllAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is halted, which nodes gave no answer, and the agents that nobody answered for.

    An agent of `unheard` is halted by the node that takes it up within a minute; one whose node
    is silent may trade until then.
    """

    agents: list[KilledAgentAnswer]
    silent: list[str]
    unheard: list[AgentName]


EVERYBODY: Final = KillAllRequest()


@post(
    PATH,
    operation_id="killAll",
    summary="Halt trading of all agents",
    operation_class=OptionalBody,
    responses=failures(400, 413, 415),
    status_code=200,
    tags=["ladder"],
)
async def kill_all(
    request: Request[Any, Any, Any],
    halting: HaltPort,
    peers: PeersPort,
    actor: Actor,
    data: JSONBody[KillAllRequest] = EVERYBODY,
) -> KilledAllAnswer:
    """Halt every agent on every node; works with Postgres and NATS down. Each is re-armed alone."""
    asked, who = _passed(request, data), f"{actor} {data.who}".rstrip()
    urls = halting.others() if data.everywhere else ()
    async with asyncio.TaskGroup() as group:
        here = group.create_task(_halted(halting, data.reason, who))
        there = {url: group.create_task(_told(peers, url, asked)) for url in urls}
    if isinstance(found := here.result(), TradesagaError):
        raise found
    halted = {
        str(one.agent.id): KilledAgentAnswer(
            agent_id=str(one.agent.id), name=one.agent.name, killed=killed_answer(one.killed)
        )
        for one in found
    }
    for task in there.values():
        halted |= {one.agent_id: one for one in task.result() or ()}
    unheard = halting.unheard([AgentId(UUID(key)) for key in halted])
    return KilledAllAnswer(
        agents=[halted[key] for key in sorted(halted)],
        silent=[url for url, task in there.items() if task.result() is None],
        unheard=_named(unheard) if data.everywhere else [],
    )


async def _halted(
    halting: HaltOperations, reason: str, who: str
) -> Sequence[HaltedAgent] | TradesagaError:
    """Those of this node; an error as a value: the other nodes are asked to the end."""
    try:
        return await halting.halt(reason=reason, who=who)
    except TradesagaError as error:
        return error


async def _told(peers: Peers, url: str, asked: Passed) -> Sequence[KilledAgentAnswer] | None:
    """What another node has halted; None when it does not say."""
    try:
        async with asyncio.timeout(PEER_SECONDS_MAX):
            answer = await peers.ask(url, asked)
        # A refusal has other fields than this answer.
        return msgspec.json.decode(answer.body, type=KilledAllAnswer).agents
    except (Unavailable, TimeoutError, msgspec.DecodeError) as error:
        _log.warning("a node may not have halted", url=url, error=repr(error))
        return None


def _passed(request: Request[Any, Any, Any], data: KillAllRequest) -> Passed:
    """The same of another node, for its own agents, with the caller's token."""
    headers = {"content-type": "application/json", MARK: "kill"}
    if token := request.headers.get("authorization"):
        headers["authorization"] = token
    body = KillAllRequest(reason=data.reason, who=data.who, everywhere=False)
    return Passed(
        method="POST", target=request.url.path, headers=headers, body=msgspec.json.encode(body)
    )


def _named(agents: Sequence[NamedAgent]) -> list[AgentName]:
    return [AgentName(agent_id=str(one.id), name=one.name) for one in agents]
