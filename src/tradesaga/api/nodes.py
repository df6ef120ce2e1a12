"""The nodes side by side, as the one that is asked sees them."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures
from tradesaga.ports.nodes import FleetReport


class NodeAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One process that can lead; `leads` are the ids of the agents that it holds."""

    id: str
    url: str
    started_at: Timestamp
    release: str
    code: str
    configuration: str
    leads: list[str]


class NodesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who lives, the eldest first; `here` is who answers, `hindrance` why it may not lead."""

    here: str
    hindrance: str
    nodes: list[NodeAnswer]


@get(
    "/nodes",
    operation_id="listNodes",
    summary="List the nodes",
    responses=failures(400, 503),
    tags=["monitoring"],
)
async def list_nodes(operations: OperationsPort) -> NodesAnswer:
    """The processes that can lead; never passed on to another node."""
    return nodes_answer(await operations.fleet())


def nodes_answer(report: FleetReport) -> NodesAnswer:
    """The report as it goes out."""
    return NodesAnswer(
        here=report.own_id,
        hindrance=report.hindrance,
        nodes=[
            NodeAnswer(
                id=node.id,
                url=node.url,
                started_at=stamp(node.started_at),
                release=node.identity.release,
                code=node.identity.code,
                configuration=node.identity.configuration,
                leads=[str(agent_id) for agent_id in node.leads],
            )
            for node in report.nodes
        ],
    )
