"""What must hold: the product's invariants by SQL, and our books against the world outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

import asyncpg

from crash.actions import Action, Event
from crash.condition import condition
from crash.outside import Outside
from crash.scenarios import STALE_SYMBOL
from tradesaga.adapters.postgres import invariants
from tradesaga.adapters.postgres.invariants import check_chain, check_invariants
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.domain.events import DecisionGenerated
from tradesaga.domain.ids import AgentId
from tradesaga.domain.orders import ENDED
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.ports.records import Circumstances

NOT_HERE = frozenset({"I15_no_overlap"})
"""Holds for one analysis at a time; the lives run three, to have three sagas in flight."""
OF_THE_LIVING = frozenset({"I9_deadlines", "I11_published", "I15_live_epoch", "I18_driven"})
"""What a process owes within a time; the next life pays the debts of one that is no more."""
MOVING = f"""select
  exists (select from sagas where agent_id = $1
    and status in ('pending', 'running', 'compensating'))
  or exists (select from agent_status where id = $1 and resume_at is not null)
  or exists (select from cycles where agent_id = $1 and status = 'started')
  or 0 < ({QUERIES["backlog"].rstrip().rstrip(";")})"""
STATUS = """select status, resume_at is not null as pausing,
  exists (select from journal_log where agent_id = $1 and kind = 'agent.stopped') as stopped
  from agent_status where id = $1"""
ORDERS = """select o.symbol, o.client_order_id, o.status as order_status, o.venue_order_id,
  s.status, s.reason, r.state as reservation
  from orders o join sagas s on s.id = o.saga_id join reservations r on r.saga_id = s.id
  where o.agent_id = $1"""
FAILED = "select metadata from cycles where agent_id = $1 and status = 'failed'"
DENIED = "select symbol, denials from decisions where agent_id = $1 and verdict <> 'allowed'"
EVENTS = "select event_id from journal_log where agent_id = $1 and event_id is not null"
STANDS = frozenset({"filled", "canceled", "rejected", "expired"})


NOTHING_GIVEN: tuple[object, ...] = (None, None, None, None, None, [], [])
BROKEN = (
    "select array("
    + " union all ".join(
        f"select '{name}' where exists ({invariants._GIVEN}{check.sql.rstrip(';')}) select from v)"
        for name, check in invariants._CHECKS.items()
        if not invariants._missing(name, Circumstances())
    )
    + ")"
)
"""The names of the invariants that are broken, asked at once: most of the time there are none."""


class Oracle:
    """Asks the database and compares with what is outside."""

    def __init__(self, connections: asyncpg.Pool[asyncpg.Record]) -> None:
        self._connections = connections

    async def is_quiet(self, agent_id: AgentId, outside: Outside) -> bool:
        """Whether nothing is under way: no message, no saga, no cycle, no event to publish."""
        return outside.settled and not await self._connections.fetchval(MOVING, agent_id)

    async def is_pausing(self, agent_id: AgentId) -> bool:
        """Whether the agent is paused for a time."""
        agent = await self._connections.fetchrow(STATUS, agent_id)
        return agent is not None and bool(agent["pausing"])

    async def condition(self, agent_id: AgentId, outside: Outside) -> str:
        """How the world is left, as text; see `crash.condition`."""
        async with self._connections.acquire() as connection:
            return await condition(connection, agent_id, outside)

    async def broken_invariants(self, agent_id: AgentId, *, quiet: bool) -> list[str]:
        """What must hold at every moment, also of a process that is no more (not `quiet`)."""
        left_out = NOT_HERE if quiet else NOT_HERE | OF_THE_LIVING
        async with (
            self._connections.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            asked: Any = connection  # a proxy with the methods of a connection
            chain, _ = await check_chain(asked, agent_id)
            if not chain.violations and not set(
                await connection.fetchval(BROKEN, agent_id, *NOTHING_GIVEN)
            ).difference(left_out):
                return []
            found = await check_invariants(asked, agent_id)
        return [
            f"{each.name}: {each.description} {list(each.sample)}"
            for each in found
            if each.violations and each.name not in left_out
        ]

    async def disagreements(
        self, agent_id: AgentId, outside: Outside, events: Sequence[Event]
    ) -> list[str]:
        """What must hold once all is quiet."""
        rows = await self._connections.fetch(ORDERS, agent_id)
        actions = {event.action for event in events}
        commanded = bool(actions & {Action.STOP, Action.PAUSE, Action.HALT})
        found = [*self._ends(rows, outside, any_end=commanded), *_orders(rows, outside)]
        found += _sends(outside, events)
        agent = await self._connections.fetchrow(STATUS, agent_id)
        wanted = "stopped" if agent is not None and agent["stopped"] else "running"
        if agent is None or agent["status"] != wanted:
            found.append(f"the agent is not {wanted}: {agent}")
        parked = {row["symbol"] for row in rows if _parked(row)}
        found += await self._positions(agent_id, outside, parked)
        found += await self._messages(agent_id, outside)
        found += [f"cycle failed: {row}" for row in await self._connections.fetch(FAILED, agent_id)]
        if not commanded:
            denied = await self._connections.fetch(DENIED, agent_id)
            may_be_denied = {STALE_SYMBOL}
            if outside.scenario.again_after:  # whichever of two was first, the other is too many
                may_be_denied |= {row["symbol"] for row in rows}
            found += [
                f"decision denied: {row['symbol']} {row['denials']}"
                for row in denied
                if row["symbol"] not in may_be_denied
            ]
        decided = len(outside.scenario.symbols)
        if not events and len(rows) != decided:
            found.append(f"{len(rows)} orders of {decided} decisions, and nobody died")
        return found

    def _ends(self, rows: list[asyncpg.Record], outside: Outside, *, any_end: bool) -> list[str]:
        allowed = ENDS if any_end else outside.scenario.ends
        found = [
            f"saga of {row['symbol']} ends {row['status']} ({row['reason']})"
            for row in rows
            if SagaStatus(row["status"]) not in allowed
        ]
        held = [r["symbol"] for r in rows if r["reservation"] == "open" and not _parked(r)]
        return found + [f"reservation of {symbol} is still open" for symbol in held]

    async def _positions(
        self, agent_id: AgentId, outside: Outside, parked: Container[str]
    ) -> list[str]:
        query = "select symbol, quantity from positions where agent_id = $1"
        ours = {r["symbol"]: r["quantity"] for r in await self._connections.fetch(query, agent_id)}
        return [
            f"position of {symbol}: ours {ours.get(symbol, 0)}, venue {outside.held(symbol)}"
            for symbol in outside.scenario.symbols
            if ours.get(symbol, 0) != outside.held(symbol) and symbol not in parked
        ]

    async def _messages(self, agent_id: AgentId, outside: Outside) -> list[str]:
        """What was acknowledged has had its effect, what was committed has been told, once."""
        query = "select event_id from inbox where agent_id = $1"
        taken = {row["event_id"] for row in await self._connections.fetch(query, agent_id)}
        query = "select external_id from decisions where agent_id = $1"
        for row in await self._connections.fetch(query, agent_id):
            # A mutant gives every handling of a decision a name of its own, after the mark.
            taken.add(f"decision:{row['external_id'].partition('~')[0]}")
        found = []
        for message in outside.messages:
            incoming, keys = message.incoming, {message.incoming.event_id}
            if isinstance(incoming.content, DecisionGenerated):
                keys.add(f"decision:{incoming.content.proposal.external_id}")
            if message.acknowledged and taken.isdisjoint(keys):
                found.append(f"{incoming.type} {incoming.event_id} is acknowledged without effect")
        events = {str(r["event_id"]) for r in await self._connections.fetch(EVENTS, agent_id)}
        if lost := events - outside.published.keys():
            found.append(f"{len(lost)} events never reached the bus")
        if invented := outside.published.keys() - events:
            found.append(f"{len(invented)} events on the bus that the log does not hold")
        return found


def _parked(row: asyncpg.Record) -> bool:
    """Whether its saga waits for a person: what became of the order is not known, and held."""
    return SagaStatus(row["status"]) is SagaStatus.MANUAL_REQUIRED


def _sends(outside: Outside, events: Sequence[Event]) -> list[str]:
    """What was sent too often, or by one who no longer had the lease."""
    most = 1 + outside.scenario.retries + len(events)  # nobody knows what the dead one has sent
    found = [
        f"{name} was sent {number} times, at most {most} are allowed"
        for name, number in Counter(outside.submits).items()
        if number > most
    ]
    if outside.late_sends:
        found.append(f"{outside.late_sends} orders sent by a life that was deposed")
    if outside.halted_sends:
        found.append(f"I14: {outside.halted_sends} orders sent after the kill switch had answered")
    return found


def _orders(rows: list[asyncpg.Record], outside: Outside) -> list[str]:
    ours = {row["client_order_id"]: row for row in rows}
    found = []
    placed = Counter(p.order.symbol for p in outside.placed if p.ours)
    found += [f"{n} orders on {s} at the venue, one decided" for s, n in placed.items() if n > 1]
    parked = {name for name, row in ours.items() if _parked(row)}
    for order in outside.placed:
        if not order.ours or order.order.client_order_id in parked:
            continue
        row = ours.get(order.order.client_order_id)
        if order.status not in ENDED:
            found.append(f"order on {order.order.symbol} lives on at the venue")
        if row is None:
            found.append(f"order on {order.order.symbol} at the venue that no intent tells of")
        elif row["order_status"] != order.status:
            found.append(
                f"order on {row['symbol']} is {row['order_status']}, at the venue {order.status}"
            )
    known = {p.order.client_order_id for p in outside.placed}
    return found + [
        f"order on {row['symbol']} is {row['order_status']}, the venue never had it"
        for client_id, row in ours.items()
        if client_id not in known
        and row["order_status"] in STANDS
        and not (outside.scenario.refused and row["order_status"] == "rejected")
    ]
