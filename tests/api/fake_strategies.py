"""A fake of the third driving port: decides with the real machine, keeps strategies in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tradesaga.domain import strategies as machine
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.errors import Invalid, NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.strategies import Edit, Performance, Strategy, StrategyStatus
from tradesaga.ports.records import StrategyRecord
from tradesaga.ports.strategy_operations import NewStrategy

AT = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=5)


SAMPLE = Strategy(
    id=StrategyId(derived("strategy", "sample")),
    agent_id=DEFAULT_AGENT,
    external_id="sample",
    name="sample",
    type="sma",
    symbols=("SPY",),
    created_at=AT,
    updated_at=AT,
    status=StrategyStatus.STOPPED,
)


class FakeStrategies:
    """One stopped strategy at first; `held` are symbols that all hold; `error` makes it raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.held: tuple[str, ...] = ()
        self.actors: list[str] = []
        self.known: dict[str, Strategy] = {"sample": SAMPLE}

    async def strategy(self, name: str) -> StrategyRecord:
        return self._record(self._find(name))

    async def create(self, new: NewStrategy, *, actor: str) -> StrategyRecord:
        self._asked(actor)
        if new.name in self.known:
            raise Invalid([f"name is {new.name!r}: it is taken, choose another"])
        made = Strategy(
            id=StrategyId(derived("strategy", new.name)),
            agent_id=DEFAULT_AGENT,
            external_id=new.name,
            name=new.name,
            type=new.type,
            symbols=tuple(new.symbols),
            created_at=AT,
            updated_at=AT,
            status=StrategyStatus.ACTIVE if new.active else StrategyStatus.STOPPED,
            risk_mode=new.risk_mode,
            parameters=new.parameters,
            priority=new.priority,
        )
        machine.check(made)
        self.known[new.name] = made
        return self._record(made)

    async def update(
        self, name: str, edit: Edit, *, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        return self._changed(name, lambda s: machine.edited(s, edit, LATER), actor, as_read)

    async def activate(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyRecord:
        return self._changed(name, lambda s: machine.activated(s, LATER), actor, as_read)

    async def deactivate(
        self, name: str, *, close_positions: bool, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        def change(strategy: Strategy) -> Strategy:
            return machine.deactivated(strategy, LATER, close_positions=close_positions)

        return self._changed(name, change, actor, as_read)

    async def delete(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyId:
        return self._changed(
            name, lambda s: machine.deleted(s, LATER, holds=self.held), actor, as_read
        ).strategy.id

    def _changed(
        self, name: str, change: Callable[[Strategy], Strategy], actor: str, as_read: AsRead
    ) -> StrategyRecord:
        self._asked(actor)
        before = self._find(name)
        must_be_as_read(f"strategy {name}", before.version, as_read)
        after = change(before)
        self.known[after.external_id] = after
        return self._record(after)

    def _find(self, name: str) -> Strategy:
        if self.error is not None:
            raise self.error
        for strategy in self.known.values():
            if name in (strategy.external_id, str(strategy.id)) and strategy.deleted_at is None:
                return strategy
        raise NotFound(f"there is no strategy {name}")

    def _asked(self, actor: str) -> None:
        self.actors.append(actor)
        if self.error is not None:
            raise self.error

    def _record(self, strategy: Strategy) -> StrategyRecord:
        return StrategyRecord(strategy=replace(strategy), performance=Performance())
