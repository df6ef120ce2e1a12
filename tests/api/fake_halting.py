"""Two agents that are halted here, another node that may answer, and one that nobody drives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from tests.api.fake_accounts import OTHER_ID
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.ladder import EVERYWHERE
from tradesaga.ports.halt_operations import HaltedAgent, NamedAgent
from tradesaga.ports.ladder_operations import Killed
from tradesaga.ports.nodes import Passed, PeerAnswer

KILLED = Killed(
    scope=EVERYWHERE,
    at=datetime(2020, 12, 15, 17, tzinfo=UTC),
    marked=True,
    recorded=True,
    orders=0,
    asked=0,
    ended=0,
    unresolved=(),
)
DEFAULT, OTHER = (
    NamedAgent(id=DEFAULT_AGENT, name="default"),
    NamedAgent(id=OTHER_ID, name="second"),
)


class FakeHalting:
    """Implements `ports.halt_operations.HaltOperations`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.here: Sequence[NamedAgent] = (DEFAULT, OTHER)
        self.known: Sequence[NamedAgent] = (DEFAULT, OTHER)
        self.urls: Sequence[str] = ()

    async def halt(self, *, reason: str, who: str) -> Sequence[HaltedAgent]:
        self.calls.append((reason, who))
        return [HaltedAgent(agent=one, killed=KILLED) for one in self.here]

    def others(self) -> Sequence[str]:
        return self.urls

    def unheard(self, heard: Collection[AgentId]) -> Sequence[NamedAgent]:
        return [one for one in self.known if one.id not in heard]


class FakePeers:
    """Implements `ports.nodes.Peers`: answers by address; without one there is no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, PeerAnswer] = {}
        self.asked: list[tuple[str, Passed]] = []

    def elsewhere(self, agent_id: AgentId | None) -> str:
        return ""

    async def ask(self, url: str, request: Passed) -> PeerAnswer:
        self.asked.append((url, request))
        if url not in self.answers:
            raise Unavailable(f"the node at {url} gives no answer")
        return self.answers[url]
