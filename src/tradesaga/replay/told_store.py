"""The store of a replay as a recorded life had it: in the turns of then, and seen as it was then.

What was asked of the database is asked of the replay's own, in memory, in the turn in which the
outcome came; what failed then fails now. A change is in a store before its writer hears of it:
when a reader had seen it by then, or a new epoch would refuse it, it is written before that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import msgspec
from typing_extensions import override

from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId
from tradesaga.domain.orders import Order
from tradesaga.engine.world import OpenableJournal
from tradesaga.ports.journal import Change
from tradesaga.ports.lease import Held, Lease
from tradesaga.replay.answers import error_of
from tradesaga.replay.divergence import name_of
from tradesaga.replay.port_calls import Ask, PortCalls
from tradesaga.replay.seen import seen
from tradesaga.replay.tape import Line
from tradesaga.replay.telling import Claim, Telling
from tradesaga.replay.turns import part

WRITES: Final = frozenset({"outbox.mark_published"})


class ToldCalls(PortCalls):
    """Any port of the replay's own; each of its methods that is awaited takes its turn."""

    def __init__(self, name: str, port: Any, telling: Telling) -> None:
        super().__init__(name, port)
        self._telling = telling

    @override
    async def _asked(self, what: str, ask: Ask) -> Any:
        line = await self._telling.line_of(what, part())
        if line is not None and line.error:
            raise error_of(line)
        return await ask()


def told_calls(name: str, port: Any, telling: Telling) -> Any:
    """The port, its calls in their turns."""
    return ToldCalls(name, port, telling)


def told_reader(name: str, port: Any, journal: ToldJournal) -> Any:
    """The port, its reads in their turns, each of as much as it saw then."""
    return ToldReader(name, port, journal.telling, journal)


@dataclass(slots=True)
class OpenChange:
    """A change whose outcome nobody has heard; `written` as soon as somebody has seen it."""

    change: Change
    claim: Claim | None
    written: bool = False

    @property
    def names(self) -> Iterator[str]:
        """The decisions and orders in it."""
        for row in self.change.rows:
            if isinstance(row.value, Decision | Order):
                yield name_of(row.value)


@dataclass(slots=True)
class ToldJournal:
    """Implements `engine.world.OpenableJournal`; `open_changes` have no outcome yet."""

    journal: OpenableJournal
    telling: Telling
    open_changes: list[OpenChange] = field(default_factory=list)
    readers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Told after each change: what a reader sees meanwhile is one of the states in between."""
    _latest: OpenChange | None = None

    def being_written(self) -> Sequence[str]:
        """What has no outcome."""
        return [name for one in self.open_changes for name in one.names]

    def written_last(self) -> Sequence[str]:
        """What has its outcome in the last turn of the tape, where the rest may be missing."""
        latest = self._latest
        if latest is None or not self.telling.is_last(latest.claim):
            return []
        return list(latest.names)

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """As the port."""
        await self.telling.line_of("open", "")
        return await self.journal.open(agent_id, epoch)

    async def commit(self, change: Change) -> int:
        """As the port."""
        one = OpenChange(change, self.telling.claim("commit", part()))
        self.open_changes.append(one)
        try:
            line = await self.telling.told(one.claim)
            self._latest = one
            if line is not None and line.error:
                raise error_of(line)
            return 0 if one.written else await self._write(change)
        finally:
            self.open_changes.remove(one)

    async def write_ahead(self) -> bool:
        """Write the oldest open change that may have been; False when there is none."""
        return await self._write_first(self.telling.may_succeed)

    async def write_all(self) -> None:
        """Write every open change that was: what comes now would have refused it."""
        while await self._write_first(self.telling.succeeds):
            pass

    async def _write_first(self, was_written: Callable[[Claim | None], bool]) -> bool:
        for one in self.open_changes:
            if not one.written and was_written(one.claim):
                one.written = True
                await self._write(one.change)
                return True
        return False

    async def _write(self, change: Change) -> int:
        sequence = await self.journal.commit(change)
        for look in tuple(self.readers):
            await look()
        return sequence


class ToldReader(ToldCalls):
    """A reader of the replay's own store: it sees as much of it as it saw then.

    What it writes (`WRITES`) is written in the turn in which it was.
    """

    def __init__(self, name: str, port: Any, telling: Telling, journal: ToldJournal) -> None:
        super().__init__(name, port, telling)
        self._journal = journal

    @override
    async def _asked(self, what: str, read: Callable[[], Awaitable[Any]]) -> Any:
        if what in WRITES:
            return await super()._asked(what, read)
        states = [await read()]  # what it may have seen: each state from the question to the answer

        async def look() -> None:
            states.append(await read())

        self._journal.readers.append(look)
        try:
            line = await self._telling.line_of(what, part())
        finally:
            self._journal.readers.remove(look)
        if line is None:
            return await read()
        if line.error:
            raise error_of(line)
        for state in states:
            if seen(state) == line.text:
                return state
        while seen(now := await read()) != line.text:
            if not await self._journal.write_ahead():
                break
        return now


class ToldLease:
    """Implements `ports.lease.Lease`: the epochs of the store, the times of the recording."""

    def __init__(self, lease: Lease, journal: ToldJournal) -> None:
        self._lease = lease
        self._journal = journal

    async def take(self, agent_id: AgentId) -> Held | None:
        """As the port."""
        line = await self._told("take")
        if line is not None and msgspec.json.decode(line.body) is None:
            return None
        held = await self._lease.take(agent_id)
        return held if held is None else _as_told(held, line)

    async def freed(self, within: timedelta) -> None:
        """As the port."""
        await self._told("freed")

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        line = await self._told("renew")
        return _as_told(await self._lease.renew(agent_id, epoch), line)

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        line = await self._told("raise_epoch")
        await self._journal.write_all()
        return _as_told(await self._lease.raise_epoch(agent_id, epoch), line)

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """As the port."""
        await self._told("release")
        await self._lease.release(agent_id, epoch)

    async def _told(self, name: str) -> Line | None:
        line = await self._journal.telling.line_of(f"lease.{name}", part())
        if line is not None and line.error:
            raise error_of(line)
        return line


def _as_told(held: Held, line: Line | None) -> Held:
    if line is None:
        return held
    told = msgspec.json.decode(line.body, type=_Times)
    return replace(held, until=told.until or held.until, wait=told.wait)


class _Times(msgspec.Struct):
    """What is kept of a lease; it ends at None if it never does."""

    until: float | None
    wait: timedelta
