"""Mistakes about who may act and write: the lease, the fence, versions, commands, cancellation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from crash.market import FastClock
from crash.neighbours import WireVenue
from crash.saga_mutants import put
from tradesaga.adapters.postgres import journal as journal_module
from tradesaga.adapters.postgres.batch import STATEMENT, Batch, Head
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.domain.agent import Agent, AgentStatus, Start
from tradesaga.domain.errors import Conflict
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.domain.trade_messages import TradeState
from tradesaga.domain.trade_saga import _Work
from tradesaga.domain.values import changed
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.send_gate import SendGate
from tradesaga.ports.services import AmbiguousMatch

COPY = """select pg_get_functiondef(p.oid) as text from pg_proc p
  where p.pronamespace = 'orchestration'::regnamespace and p.proname like 'apply%'"""


# ---- the lease and the fence --------------------------------------------------------------------


def lease_not_asked() -> None:
    """An order goes out whatever is left of the lease."""
    put(Leadership, "may_send", lambda leadership, *, opening: True)


def lease_not_asked_at_last() -> None:
    """Asked before a connection is waited for, the lease is not asked when the first byte goes."""
    put(SendGate, "refusal_at_last", SendGate.refusal)


def deadline_stands_still() -> None:
    """The local end of the lease is measured by a clock that stops with the process."""
    put(FastClock, "monotonic", lambda clock: time.process_time())


async def _stored(journal: Any, batch: Batch) -> dict[Any, Head]:
    connection = await journal._connected()
    rows = await connection.fetch(QUERIES["read_heads"], list(batch.begin))
    return {row["agent_id"]: Head(row["epoch"], row["seq"], row["hash"]) for row in rows}


async def _write_behind_anything(journal: Any, batch: Batch) -> None:
    """Send the batch; when the head has moved on, number it behind what stands there now."""
    while True:
        connection = await journal._connected()
        try:
            await connection.fetchval(STATEMENT, *batch.arguments())
        except asyncpg.PostgresError as error:
            if error.sqlstate == journal_module._ROW_MOVED:
                journal._conflict(batch, error)
                return
            if error.sqlstate != journal_module._HEAD_MOVED:
                raise
            heads, moved = await _stored(journal, batch), Batch()
            for change in batch.changes:
                moved.add(change, heads[change.agent_id])
            batch = moved
        else:
            journal._succeed(batch)
            return


def epoch_not_compared() -> None:
    """Whoever writes, writes: the epoch is not part of the condition."""
    put(PostgresJournal, "_settle", _write_behind_anything)


def fence_without_lock() -> None:
    """The epoch is compared, then the batch is written: in between it may change."""

    async def settle(journal: Any, batch: Batch) -> None:
        stored = await _stored(journal, batch)
        stale = {a for a, head in batch.begin.items() if stored[a].epoch != head.epoch}
        if stale:
            journal._fence(batch, stale)
        else:
            await _write_behind_anything(journal, batch)

    put(PostgresJournal, "_settle", settle)


# ---- conditions ---------------------------------------------------------------------------------


def conflict_spreads() -> None:
    """All Changes of a batch are told of the conflict of one."""

    def conflict(journal: Any, batch: Batch, error: asyncpg.PostgresError) -> None:
        for change in batch.changes:
            change.settle(Conflict("something in the batch was changed"))

    put(PostgresJournal, "_conflict", conflict)


def version_not_compared() -> None:
    """Rows are updated whatever version is stored."""
    connected = PostgresJournal._connected

    async def loose(journal: Any) -> Any:
        fresh = journal._connection is None or journal._connection.is_closed()
        connection = await connected(journal)
        if fresh:
            for row in await connection.fetch(COPY):
                text = row["text"].replace("orchestration.apply", "orchestration.loose_apply")
                await connection.execute(text.replace("t.version = x.version - 1", "true"))
        return connection

    put(PostgresJournal, "_connected", loose)
    put(journal_module, "STATEMENT", STATEMENT.replace("apply(", "loose_apply(", 1))


def inbox_by_window() -> None:
    """Ids of events are kept for a while."""
    was_received = PostgresRecords.was_received

    async def received(records: Any, agent_id: Any, *event_ids: str) -> bool:
        await records._pool.fetchval("delete from inbox where agent_id = $1", agent_id)
        return await was_received(records, agent_id, *event_ids)

    put(PostgresRecords, "was_received", received)


def counters_in_memory() -> None:
    """How often an order was sent and looked up is forgotten with the process."""
    open_trades = PostgresRecords.open_trades

    async def fresh(records: Any, agent_id: Any) -> list[TradeState]:
        found = await open_trades(records, agent_id)
        return [replace(t, order=replace(t.order, sends=0, lookups=0)) for t in found]

    put(PostgresRecords, "open_trades", fresh)


def float_cash() -> None:
    """What a fill has cost is counted in binary fractions."""
    book = _Work.book

    def booked(work: _Work, *told: Any) -> None:
        book(work, *told)
        spent = Decimal(float(work.reservation.consumed))
        work.reservation = changed(work.reservation, consumed=spent)

    put(_Work, "book", booked)


def ambiguous_is_absent() -> None:
    """Several that could be ours: none of them is."""
    look_up = WireVenue.look_up

    async def looked(venue: WireVenue, order: Order) -> VenueReport | None:
        try:
            return await look_up(venue, order)
        except AmbiguousMatch:
            return None

    put(WireVenue, "look_up", looked)


# ---- commands, cancellation ---------------------------------------------------------------------


def pause_in_memory() -> None:
    """When a pause is over is known to this process alone."""
    pause: Callable[..., Any] = AgentControl.pause

    async def paused(control: Any, *, duration: timedelta | None, actor: str) -> Agent:
        agent: Agent = await pause(control, duration=None, actor=actor)
        return agent

    put(AgentControl, "pause", paused)


def restart_starts() -> None:
    """An agent that was stopped runs again in the next process."""
    load = AgentState.load

    async def loaded(state: AgentState) -> Agent:
        agent = await load(state)
        if agent.status is AgentStatus.STOPPED and agent.stopped_at is not None:
            return await state.order(Start(), actor="engine", kind="agent.started")
        return agent

    put(AgentState, "load", loaded)


def restart_rearms() -> None:
    """What was halted is not halted in the next process."""

    async def forgotten(state: LadderState) -> None:
        state._is_loaded = True

    put(LadderState, "load", forgotten)


def cancellation_swallowed() -> None:
    """A loop that waits takes the request to end for the end of its wait."""
    idle = OutboxRelay._idle

    async def idled(relay: Any) -> None:
        try:
            await idle(relay)
        except asyncio.CancelledError:
            return

    put(OutboxRelay, "_idle", idled)
