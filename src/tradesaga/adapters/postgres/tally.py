"""Reading a run as a whole, for the display and the summary of `tradesaga up`.

Counts and lines for people; nothing here decides anything. Every answer is of committed rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.ids import AgentId

CYCLES_AT_ONCE = 500
_SQL = {name: query.sql for name, query in load("tally").items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCycle:
    """One analysis cycle that has ended; `acting` are its decisions that are not to hold."""

    id: UUID
    scheduled_at: datetime
    started_at: datetime
    status: str
    decisions_generated: int
    orders_submitted: int
    orders_filled: int
    positions: str
    sagas: str
    profit: Decimal | None
    equity: Decimal | None
    errors: tuple[str, ...]
    acting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """What is still under way; events are those that wait to be published."""

    cycles: int
    sagas: int
    events: int

    def __bool__(self) -> bool:
        return bool(self.cycles or self.sagas or self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers by what they count, such as `buy allowed`; figures are None before a cycle."""

    cycles: Mapping[str, int]
    decisions: Mapping[str, int]
    orders: Mapping[str, int]
    fills: Mapping[str, int]
    sagas: Mapping[str, int]
    equity: Decimal | None
    profit: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFact:
    """What we believe of one of our orders; `venue_order_id` is empty when it was never placed."""

    id: UUID
    client_order_id: str
    venue_order_id: str
    status: str
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What the open reservation of one order holds; `venue_order_id` is empty without one."""

    client_order_id: str
    venue_order_id: str
    outstanding: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOrder:
    """An order that the engine has made of a decision by itself; `is_ours_too`: so have we."""

    venue_order_id: str
    decision_id: str
    is_ours_too: bool


class Tally:
    """Readers of one agent's run. All raise Unavailable when the database gives no answer."""

    def __init__(self, pool: ReaderPool, agent_id: AgentId) -> None:
        self._pool = pool
        self._agent_id = agent_id

    async def finished_cycles(self, since: datetime) -> Sequence[FinishedCycle]:
        """Analysis cycles that began at `since` or later and have ended, ascending, at most 500."""
        rows = await self._pool.fetch(
            _SQL["finished_cycles"], self._agent_id, since, CYCLES_AT_ONCE
        )
        return [
            FinishedCycle(
                **{
                    name: row[name]
                    for name in FinishedCycle.__dataclass_fields__
                    if name != "errors"
                },
                errors=tuple(msgspec.json.decode(row["errors"], type=list[str])),
            )
            for row in rows
        ]

    async def unsettled(self) -> Unsettled:
        """What is still under way."""
        [row] = await self._pool.fetch(_SQL["unsettled"], self._agent_id)
        return Unsettled(cycles=row["cycles"], sagas=row["sagas"], events=row["events"])

    async def was_started(self) -> bool:
        """Whether the agent has ever been started."""
        return bool(await self._pool.fetchval(_SQL["was_started"], self._agent_id))

    async def counts(self) -> Counts:
        """All counts, on one snapshot."""
        async with self._pool.snapshot() as connection:

            async def count(name: str) -> dict[str, int]:
                rows = await connection.fetch(_SQL[name], self._agent_id)
                return {row["name"]: row["number"] for row in rows}

            figures = await connection.fetchrow(_SQL["last_figures"], self._agent_id)
            return Counts(
                cycles=await count("count_cycles"),
                decisions=await count("count_decisions"),
                orders=await count("count_orders"),
                fills=await count("count_fills"),
                sagas=await count("count_sagas"),
                equity=figures["equity"] if figures else None,
                profit=figures["profit"] if figures else None,
            )

    async def order_times(self) -> tuple[datetime, datetime] | None:
        """When the first and the last order were made; None without any."""
        [row] = await self._pool.fetch(_SQL["order_times"], self._agent_id)
        return None if row["first"] is None else (row["first"], row["last"])

    async def reserved(self) -> Sequence[Reserved]:
        """Open reservations that hold something, oldest first."""
        rows = await self._pool.fetch(_SQL["reserved"], self._agent_id)
        return [
            Reserved(**{name: row[name] for name in Reserved.__dataclass_fields__}) for row in rows
        ]

    async def orders(self) -> Sequence[OrderFact]:
        """Every order of the agent, oldest first."""
        rows = await self._pool.fetch(_SQL["order_facts"], self._agent_id)
        return [
            OrderFact(**{name: row[name] for name in OrderFact.__dataclass_fields__})
            for row in rows
        ]

    async def left(self) -> Sequence[LeftOrder]:
        """Orders of others that were made of a decision, the first seen first."""
        rows = await self._pool.fetch(_SQL["left_orders"], self._agent_id)
        return [
            LeftOrder(**{name: row[name] for name in LeftOrder.__dataclass_fields__})
            for row in rows
        ]
