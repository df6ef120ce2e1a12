"""What an operator asks about strategies, done: implements `ports.strategy_operations`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tradesaga.domain import strategies as machine
from tradesaga.domain.as_read import AsRead
from tradesaga.domain.errors import Fenced, Unavailable
from tradesaga.domain.ids import AgentId, StrategyId, derived
from tradesaga.domain.strategies import Edit, Strategy, StrategyStatus
from tradesaga.engine.strategy_book import StrategyBook, Transition
from tradesaga.engine.strategy_exits import held_by
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import Records, StrategyRecord
from tradesaga.ports.strategy_operations import NewStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyControl:
    """Commands and views of one agent's strategies on the node that holds its lease."""

    agent_id: AgentId
    book: StrategyBook
    desk: TradeDesk
    records: Records
    clock: Clock

    async def strategy(self, name: str) -> StrategyRecord:
        """See `ports.strategy_operations`."""
        self._must_be_loaded()
        return await self._record(self.book.find(name).id)

    async def create(self, new: NewStrategy, *, actor: str) -> StrategyRecord:
        """See `ports.strategy_operations`."""
        self._must_be_loaded()
        now = self.clock.now()
        strategy = Strategy(
            id=StrategyId(derived(self.agent_id, "strategy", new.name)),
            agent_id=self.agent_id,
            external_id=new.name,
            name=new.name,
            type=new.type,
            symbols=tuple(new.symbols),
            created_at=now,
            updated_at=now,
            status=StrategyStatus.ACTIVE if new.active else StrategyStatus.STOPPED,
            risk_mode=new.risk_mode,
            parameters=dict(new.parameters),
            priority=new.priority,
            mode=new.mode,
        )
        try:
            await self.book.add(machine.live(strategy, now), actor=actor)
        except Fenced as error:
            raise _taken_over() from error
        return await self._record(strategy.id)

    async def update(
        self, name: str, edit: Edit, *, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        """See `ports.strategy_operations`."""
        now = self.clock.now()

        def change(strategy: Strategy) -> Strategy:
            return machine.edited(strategy, edit, now, holds=held_by(self.desk, strategy))

        return await self._changed(name, "updated", change, actor, as_read)

    async def activate(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyRecord:
        """See `ports.strategy_operations`."""
        change = partial(machine.activated, now=self.clock.now())
        return await self._changed(name, "activated", change, actor, as_read)

    async def deactivate(
        self, name: str, *, close_positions: bool, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        """See `ports.strategy_operations`."""
        change = partial(machine.deactivated, now=self.clock.now(), close_positions=close_positions)
        return await self._changed(name, "deactivated", change, actor, as_read)

    async def delete(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyId:
        """See `ports.strategy_operations`."""
        now = self.clock.now()

        def change(strategy: Strategy) -> Strategy:
            return machine.deleted(strategy, now, holds=held_by(self.desk, strategy))

        return (await self._commit(name, "deleted", change, actor, as_read)).id

    async def _changed(
        self, name: str, word: str, change: Transition, actor: str, as_read: AsRead
    ) -> StrategyRecord:
        return await self._record((await self._commit(name, word, change, actor, as_read)).id)

    async def _commit(
        self, name: str, word: str, change: Transition, actor: str, as_read: AsRead
    ) -> Strategy:
        self._must_be_loaded()
        try:
            return await self.book.change(name, word, change, actor=actor, as_read=as_read)
        except Fenced as error:
            raise _taken_over() from error

    async def _record(self, strategy_id: StrategyId) -> StrategyRecord:
        """The strategy as this process has it, with its figures as stored."""
        record = await self.records.strategy(self.agent_id, strategy_id)
        if record is not None:
            return record
        raise Unavailable("the strategy is not readable yet: ask again")

    def _must_be_loaded(self) -> None:
        if not self.book.is_loaded:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")


def _taken_over() -> Unavailable:
    return Unavailable("another node has taken over the agent; ask again")
