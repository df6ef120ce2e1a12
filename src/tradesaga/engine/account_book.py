"""The agents beside the default one: made and retired by people, known by heart on every node.

They are rows of the default agent, written through its journal with an audit entry, and by nobody
else. Every node looks twice a second whether there are others than it knows; while the database is
away the last look stands. A retired agent is driven on until nothing of it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from structlog import get_logger

from tradesaga.domain.account import LIVE_MAX, Account, must_be_fit
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.errors import (
    Conflict,
    Fenced,
    IllegalTransition,
    NotFound,
    TradesagaError,
    Unavailable,
)
from tradesaga.domain.ids import AgentId
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.accounts import AccountRecords, AgentRecord
from tradesaga.ports.clock import Clock
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Entry, Insert, Row, Update

log = get_logger()
LOOK_EVERY: Final = timedelta(milliseconds=500)


class AccountBook:
    """Implements `ports.accounts.AccountOperations`; `clock` is the real one.

    `default` is the configured agent, as it would stand here. `refusal` says why there may be no
    other agent; empty when there may.
    """

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: AccountRecords,
        clock: Clock,
        ids: IdSource,
        default: Account,
        refusal: Callable[[], str],
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._ids = ids
        self.default = default
        self._refusal = refusal
        self._turn = asyncio.Lock()
        self._known: Mapping[AgentId, Account] = {}
        self._unsettled: frozenset[AgentId] = frozenset()
        self._driven: Sequence[Account] = []
        self._stamp: tuple[int, int] | None = None
        self.some = asyncio.Event()
        """Set as soon as there is an agent to drive."""

    def driven(self) -> Sequence[Account]:
        """Those that some node must drive, as last seen; the default agent is not among them."""
        return self._driven

    def find(self, agent_id: AgentId) -> Account | None:
        """One of them, retired or not; the default agent is one."""
        return self.default if agent_id == self.default.id else self._known.get(agent_id)

    async def agents(self) -> Sequence[AgentRecord]:
        """See `ports.accounts`."""
        self._must_be_loaded()
        return await self._told([self.default, *self._known.values()])

    async def agent(self, agent_id: AgentId) -> AgentRecord:
        """See `ports.accounts`."""
        self._must_be_loaded()
        [record] = await self._told([self._found(agent_id)])
        return record

    async def add(self, name: str, trading_engine: str, *, actor: str) -> AgentRecord:
        """See `ports.accounts`."""
        must_be_fit(name, trading_engine)
        if refusal := self._refusal():
            raise Conflict(refusal, allowed=())
        async with self._turn:
            await self._read()
            live = [self.default, *(a for a in self._known.values() if a.lives)]
            url = trading_engine.rstrip("/")
            for other in live:
                if other.name == name:
                    why = f"agent {other.id} is named {name}: take another name"
                    raise Conflict(why, allowed=("retire",))
                if other.trading_engine.rstrip("/") == url:
                    why = f"agent {other.name} trades at {url}: two cannot share it"
                    raise Conflict(why, allowed=("retire",))
            if len(live) > LIVE_MAX:
                raise Conflict(f"{LIVE_MAX} agents live: retire some", allowed=("retire",))
            account = Account(
                id=AgentId(self._ids.uuid7()),
                agent_id=self.default.id,
                name=name,
                trading_engine=url,
                created_at=self._clock.now(),
                created_by=actor,
            )
            await self._commit(Insert(account), "agent.added", actor)
            self._know({**self._known, account.id: account})
        return AgentRecord(account=account, status=None, node="")

    async def retire(self, agent_id: AgentId, *, actor: str) -> AgentRecord:
        """See `ports.accounts`."""
        if agent_id == self.default.id:
            raise IllegalTransition("the default agent is the configuration's, not to be retired")
        async with self._turn:
            await self._read()
            before = self._found(agent_id)
            if not before.lives:
                return (await self._told([before]))[0]
            status, _, sagas = (await self._records.standing([agent_id])).get(
                agent_id, (AgentStatus.STOPPED, "", 0)
            )
            if status is not AgentStatus.STOPPED:
                raise IllegalTransition(
                    f"agent {before.name} is {status}: stop it first",
                    state=status,
                    allowed=("stop",),
                )
            if sagas:
                raise IllegalTransition(
                    f"agent {before.name} has {sagas} open sagas: let them end",
                    state=status,
                    allowed=("repeat",),
                )
            after = replace(before, retired_at=self._clock.now(), version=before.version + 1)
            await self._commit(Update(after), "agent.retired", actor)
            self._know({**self._known, agent_id: after})
        return (await self._told([after]))[0]

    async def run(self) -> None:
        """Look twice a second, for ever."""
        while True:
            await self.look()
            await self._clock.sleep_until(self._clock.now() + LOOK_EVERY)

    async def look(self) -> None:
        """Look once; while the database is away the last look stands."""
        try:
            async with self._turn:
                await self._read()
        except TradesagaError as error:
            log.warning("agents are not looked up", error=str(error))

    async def _read(self) -> None:
        stamp = await self._records.accounts_stamp(self.default.id)
        if stamp == self._stamp:
            return
        found = {a.id: a for a in await self._records.accounts(self.default.id)}
        retired = [a.id for a in found.values() if not a.lives]
        standing = await self._records.standing(retired) if retired else {}
        self._unsettled = frozenset(key for key, (_, _, sagas) in standing.items() if sagas)
        self._know(found)
        self._stamp = stamp
        if self._driven:
            self.some.set()

    def _know(self, found: Mapping[AgentId, Account]) -> None:
        self._known = found
        self._driven = [a for a in found.values() if a.lives or a.id in self._unsettled]

    async def _told(self, accounts: Sequence[Account]) -> Sequence[AgentRecord]:
        standing = await self._records.standing([account.id for account in accounts])
        records = []
        for account in accounts:
            status, node, _ = standing.get(account.id, (None, "", 0))
            is_default = account.id == self.default.id
            records.append(
                AgentRecord(account=account, status=status, node=node, is_default=is_default)
            )
        return records

    async def _commit(self, row: Row, kind: str, actor: str) -> None:
        account = row.value
        assert isinstance(account, Account)
        body = {
            "name": account.name,
            "tradingEngine": account.trading_engine,
            "retiredAt": account.retired_at,
        }
        entry = Entry(kind=kind, subject=str(account.id), actor=actor, body=body)
        try:
            await self._scribe.fact([row], [entry])
        except Fenced as error:
            raise Unavailable("another node has the agent: ask it, or ask again") from error

    def _found(self, agent_id: AgentId) -> Account:
        account = self.find(agent_id)
        if account is None:
            raise NotFound(f"there is no agent {agent_id}; `tradesaga agents ls` lists them")
        return account

    def _must_be_loaded(self) -> None:
        if self._stamp is None:
            raise Unavailable("the agents have not been read yet; ask again")
