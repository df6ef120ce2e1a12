"""This process among its fellows: on the register, and passing requests on to the leader."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from tradesaga.adapters.http.peer import HttpPeers
from tradesaga.adapters.postgres.nodes import PostgresNodes, leading
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.api.app import PREFIX
from tradesaga.api.forwarding import Forwarding, Passing
from tradesaga.bootstrap import translation
from tradesaga.bootstrap.display import Display
from tradesaga.bootstrap.hosting import Others
from tradesaga.config import Settings
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.ids import AgentId
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.fleet import Fleet

OWN_PATHS: Final = frozenset(
    f"{PREFIX}/{path}"
    for path in ("nodes", "openapi.json", "asyncapi.json", "events", "agents/kill")
)
"""What each node tells of itself, the event stream, which has no end and any of them reads, and the
halt of all agents, which waits for no leader."""
ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- recognized, not bound

LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fellowship:
    """One node's view of the others, and the register that it is on."""

    fleet: Fleet
    register: PostgresNodes
    settings: Settings

    @classmethod
    def of(
        cls, settings: Settings, dsn: str, identity: Identity, stack: AsyncExitStack
    ) -> Fellowship:
        """Not announced yet; `stack` closes the register."""
        register = PostgresNodes(dsn, identity=identity, schema=settings.database.schema)
        stack.push_async_callback(register.close)
        return cls(fleet=Fleet(register, identity), register=register, settings=settings)

    def listens(self, address: str) -> None:
        """The API answers at `address` from now on."""
        self.register.url = self.settings.server.url or reachable(address)

    def peers(self, control: AgentControl, others: Others, stack: AsyncExitStack) -> HttpPeers:
        """The way to the other nodes."""
        engine = translation.engine_settings(self.settings)

        def elsewhere(agent_id: AgentId | None) -> str:
            # Who leads the default agent knows a new one first.
            if agent_id in (None, engine.agent_id) or others.book.find(agent_id) is None:
                return "" if control.leads() else self.fleet.elsewhere(engine.agent_id)
            hosted = others.hosting.find(agent_id)
            leads = hosted is not None and hosted.control is not None and hosted.control.leads()
            return "" if leads else self.fleet.elsewhere(agent_id)

        # The longest command is a stop, which answers when its time is over.
        peers = HttpPeers(elsewhere, time_max=2 * engine.stop_time_max)
        stack.push_async_callback(peers.close)
        return peers

    def passing(self, peers: HttpPeers) -> Passing:
        """What passes requests on while another node leads the agent."""
        own_id = self.fleet.own_id
        return partial(Forwarding, peers=peers, own_id=own_id, prefix=PREFIX, own=OWN_PATHS)


async def tell_leaders(
    pool: ReaderPool, agent_id: AgentId, names: Mapping[str, str], display: Display
) -> None:
    """Say for ever who leads; `names` are those of the nodes by their addresses."""
    told = 0
    while True:
        found = await leading(pool, agent_id)
        if found is not None and found.epoch > told and found.url:  # it says its address soon
            told = found.epoch
            name = names.get(found.url, found.url)
            display.say(f"{name} leads, epoch {found.epoch}, since {found.since:%H:%M:%S.%f}"[:-3])
        await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251 -- real time, for people


def reachable(address: str) -> str:
    """`address`, by the name of this machine where it stands for all its addresses."""
    parts = urlsplit(address)
    if parts.hostname not in ALL_ADDRESSES:
        return address
    return f"{parts.scheme}://{socket.gethostname()}:{parts.port}"
