"""Mistakes around the machine: in the engine, the journal, the relay, the adapters."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from typing_extensions import override

from crash.neighbours import WireVenue
from crash.saga_mutants import put
from tradesaga.adapters.postgres.batch import Head
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import DecisionId
from tradesaga.domain.orders import Order, Reservation, Trade, VenueReport
from tradesaga.engine import analysis_cycle
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle, AnalysisWork
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.decision_requests import Answer
from tradesaga.engine.event_coordinator import EventCoordinator
from tradesaga.engine.intents import Intents
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.risk_gate import RiskGate
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.bus import Delivery
from tradesaga.ports.journal import Change, Entry, PositionDelta, Row
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.seams import SeamedDelivery


def random_id() -> UUID:
    """One that no other life draws."""
    return UUID(bytes=os.urandom(16))


class Unacknowledged(SeamedDelivery):
    """A delivery whose acknowledgement is somebody else's."""

    @override
    async def acknowledge(self) -> None:
        """Not here."""


def literal() -> None:
    """Each handling of a decision is a saga of its own, in memory; the message is done at its end.

    That is `executeTradeOrder` as it is written down: no identity that a repeat would find again,
    nothing resumed after a crash.
    """
    judge, execute = RiskGate.judge, AnalysisCycle.execute_orders

    def judged(gate: RiskGate, *told: Any, **how: Any) -> Decision:
        decision, fresh = judge(gate, *told, **how), random_id()
        external = f"{decision.external_id}~{fresh}"
        return replace(decision, id=DecisionId(fresh), external_id=external)

    async def executed(cycle: AnalysisCycle, work: AnalysisWork) -> None:
        said = [q.answer for q in work.questions if q.answer is not None]
        for question in work.questions:
            if (answer := question.answer) is not None:
                delivery: Any = answer.delivery
                question.answer = Answer(answer.proposal, Unacknowledged(delivery, delivery.seams))
        await execute(cycle, work)
        for answer in said:
            await answer.delivery.acknowledge()

    put(RiskGate, "judge", judged)
    put(AnalysisCycle, "execute_orders", executed)
    put(analysis_cycle, "taken", lambda answer, now: [])
    sagas_forgotten()


# ---- how an answer of the venue is read ---------------------------------------------------------


def _venue(wrong: Callable[[Unavailable], bool]) -> None:
    submit = WireVenue.submit

    async def submitted(venue: WireVenue, order: Order) -> VenueReport:
        try:
            return await submit(venue, order)
        except Unavailable as error:
            if wrong(error):
                raise Refused(str(error), code="GUESSED") from error
            raise

    put(WireVenue, "submit", submitted)


def unavailable_is_refused() -> None:
    """A 5xx is taken for a no."""
    _venue(lambda error: True)


def duplicate_is_refused() -> None:
    """A refused duplicate is taken for a no, though its first is there."""
    _venue(lambda error: str(error).startswith("422"))


# ---- what is committed together -----------------------------------------------------------------


def _apart(belongs: Callable[[Any], bool]) -> None:
    fact = Scribe.fact

    async def facts(scribe: Scribe, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        late = [row for row in rows if belongs(row.value)]
        await fact(scribe, [row for row in rows if not belongs(row.value)], entries)
        if late:
            await fact(scribe, late, [Entry(kind="late", subject="x", actor="mutant", body={})])

    put(Scribe, "fact", facts)


def release_apart() -> None:
    """The reservation is released in the commit after the saga's end."""
    _apart(lambda value: isinstance(value, Reservation))


def position_apart() -> None:
    """The position moves in the commit after the fill."""
    _apart(lambda value: isinstance(value, PositionDelta))


def trade_apart() -> None:
    """The trade is recorded in the commit after the fill."""
    _apart(lambda value: isinstance(value, Trade))


def events_apart() -> None:
    """Events are written in the commit after their cause."""
    fact = Scribe.fact

    async def facts(scribe: Scribe, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        await fact(scribe, rows, [replace(entry, event=None) for entry in entries])
        if told := [replace(e, kind="event") for e in entries if e.event is not None]:
            await fact(scribe, [], told)

    put(Scribe, "fact", facts)


def send_before_intent() -> None:
    """The order goes out, then the intent is written."""
    commit = Intents.commit

    async def committed(intents: Intents, *written: Any) -> None:
        for admitted in intents._admitted:
            await intents._crew._runner.actions.venue.submit(admitted.trade.state.order)
        await commit(intents, *written)

    put(Intents, "commit", committed)


# ---- the journal --------------------------------------------------------------------------------


def woken_before_commit() -> None:
    """The caller goes on when its Change is in the queue."""
    commit, writing = PostgresJournal.commit, set[asyncio.Future[int]]()

    async def committed(journal: PostgresJournal, change: Change) -> int:
        writing.add(asyncio.ensure_future(commit(journal, change)))
        await asyncio.sleep(0)
        return 0

    put(PostgresJournal, "commit", committed)


def blind_retry() -> None:
    """What got no answer is written again behind whatever stands there now."""

    async def looked_up(journal: Any, connection: Any, batch: Any) -> bool:
        rows = await connection.fetch(QUERIES["read_heads"], list(batch.begin))
        for row in rows:
            journal._heads[row["agent_id"]] = Head(row["epoch"], row["seq"], row["hash"])
        journal._again(batch.changes)
        return True

    put(PostgresJournal, "_looked_up", looked_up)


# ---- the bus ------------------------------------------------------------------------------------


def acknowledged_first() -> None:
    """The message is done when it has come in."""
    handle = EventCoordinator.handle

    async def handled(coordinator: EventCoordinator, delivery: Any) -> None:
        await delivery.acknowledge()
        await handle(coordinator, Unacknowledged(delivery, delivery.seams))

    put(EventCoordinator, "handle", handled)


def decisions_in_memory() -> None:
    """Which decisions were taken is forgotten with the process."""
    put(analysis_cycle, "taken", lambda answer, now: [])


def order_events_in_memory() -> None:
    """Which order events were taken is forgotten with the process."""
    order = EventCoordinator._order

    async def ordered(coordinator: Any, delivery: Delivery, incoming: Any, report: Any) -> None:
        book = coordinator._desk.book

        async def booked(
            trade: Any, happened: Any, *, actor: str = "engine", inbox: Any = ()
        ) -> None:
            await book(trade, happened, actor=actor)

        coordinator._desk.book = booked
        try:
            await order(coordinator, delivery, incoming, report)
        finally:
            coordinator._desk.book = book

    put(EventCoordinator, "_order", ordered)


def early_fill_dropped() -> None:
    """An event about an order whose reply is not here yet is nobody's."""
    order = EventCoordinator._order

    async def ordered(coordinator: Any, delivery: Delivery, told: Incoming, report: Any) -> None:
        trade = coordinator._desk.trades.find(None, report.client_order_id)
        if trade is not None and trade.state.order.venue_order_id is None:
            await delivery.acknowledge()
        else:
            await order(coordinator, delivery, told, report)

    put(EventCoordinator, "_order", ordered)


def marked_first() -> None:
    """What is about to be published counts as published."""
    run_once = OutboxRelay.run_once

    async def ran(relay: Any) -> int:
        rows = await relay._outbox.pending(relay._agent_id, limit=256)
        if not rows:
            return 0
        mark = {"sequence": rows[-1].sequence, "stream_sequence": rows[-1].sequence}
        await relay._outbox.mark_published(relay._agent_id, **mark, at=rows[-1].at)
        for row in rows:
            await relay._bus.publish(row)
        return len(rows)

    assert run_once is not ran
    put(OutboxRelay, "run_once", ran)


def fresh_message_id() -> None:
    """The bus cannot know a repeat."""
    publish = OutboxRelay._publish

    async def published(relay: Any, rows: Sequence[OutboxRow], sent: dict[int, int]) -> None:
        await publish(relay, [replace(row, event_id=str(random_id())) for row in rows], sent)

    put(OutboxRelay, "_publish", published)


# ---- recovery, stop -----------------------------------------------------------------------------


def sagas_forgotten() -> None:
    """Sagas live in memory alone."""

    async def none(records: Any, agent_id: Any) -> list[Any]:
        return []

    put(PostgresRecords, "open_trades", none)


def cycles_forgotten() -> None:
    """A cycle that a crash cut short is left as it is."""

    async def nothing(runner: CycleRunner, cycle: Any) -> None:
        return None

    put(CycleRunner, "interrupt", nothing)


def stop_not_asked() -> None:
    """What was decided before a stop is sent after it."""
    put(AgentState, "refusal_to_send", lambda state: "")
