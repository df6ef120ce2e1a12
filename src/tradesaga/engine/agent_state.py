"""The agent's row as last committed, and the one way to change it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tradesaga.domain import agent as machine
from tradesaga.domain.agent import Agent, AgentStatus
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import AgentId
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.records import Records

CONFLICTS_MAX = 5


class AgentState:
    """Loaded once the lease is held; every command is one commit with its audit entry."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        agent_id: AgentId,
        name: str,
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._name = name
        self._turn = asyncio.Lock()
        self._agent: Agent | None = None
        self.changed = asyncio.Event()

    @property
    def agent(self) -> Agent:
        """The agent as last committed; only after `load`."""
        assert self._agent is not None, "the agent is not loaded yet"
        return self._agent

    @property
    def is_loaded(self) -> bool:
        """Whether `load` has been done."""
        return self._agent is not None

    async def load(self) -> Agent:
        """Read the agent, or make it, stopped."""
        stored = await self._records.agent(self._agent_id)
        if stored is None:
            stored = Agent(id=self._agent_id, name=self._name, updated_at=self._clock.now())
            await self._commit(Insert(stored), "agent.created", {"name": self._name}, "engine")
        self._agent = stored
        return stored

    async def order(
        self,
        command: machine.Command,
        *,
        actor: str,
        kind: str,
        reason: str = "",
        as_read: AsRead = None,
    ) -> Agent:
        """Commit what `command` makes of the agent; a repeat commits nothing.

        Raises:
            IllegalTransition: the agent cannot do that now.
            Stale: it is not at one of the versions `as_read`.
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            for attempt in range(1, CONFLICTS_MAX + 1):
                before = self.agent
                must_be_as_read("the agent", before.version, as_read)
                after = machine.command(before, command, self._clock.now())
                if after is before:
                    return before
                body = {
                    "from": before.status,
                    "to": after.status,
                    "mode": after.mode,
                    "reason": reason,
                    "pauseReasons": sorted(after.pause_reasons),
                    "resumeAt": after.resume_at,
                    "error": after.last_error,
                }
                try:
                    await self._commit(Update(after), kind, body, actor)
                except Conflict:
                    if attempt == CONFLICTS_MAX:
                        raise
                    await self.load()
                    continue
                self._agent = after
                self.changed.set()
                return after
        raise AssertionError("unreachable")

    def runs(self) -> bool:
        """Whether cycles run: also while paused, since exits go on."""
        return self.is_loaded and self.agent.status in (AgentStatus.RUNNING, AgentStatus.PAUSED)

    def refusal_of_entries(self) -> str:
        """Why entries are not allowed; empty when they are."""
        if machine.may_enter(self.agent):
            return ""
        reasons = ", ".join(sorted(self.agent.pause_reasons))
        return f"agent is {self.agent.status}" + (f" ({reasons})" if reasons else "")

    def refusal_to_send(self) -> str:
        """Why no order may be sent, not even one that was decided before; empty when it may."""
        return "" if self.runs() else f"agent is {self.agent.status}"

    async def _commit(self, row: Row, kind: str, body: Mapping[str, object], actor: str) -> None:
        entry = Entry(kind=kind, subject=str(self._agent_id), actor=actor, body=body)
        await self._scribe.fact([row], [entry])
