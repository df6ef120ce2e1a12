"""The ladder in force, and the one way to change it.

Tightening takes effect at once and is written as soon as the database takes it; loosening takes
effect only once it is written. So what is in force is always at least as strict as what is stored
and as what is wanted, and a process that dies between the two leaves nothing looser behind. One
commit holds the row and an audit entry for every reason that was entered, acknowledged or left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from structlog import get_logger

from tradesaga.domain import ladder as machine
from tradesaga.domain.errors import Conflict, Fenced, Unavailable
from tradesaga.domain.events import ERROR_OCCURRED, Event, brief
from tradesaga.domain.ids import AgentId, derived
from tradesaga.domain.ladder import (
    ENGINE,
    EVERYWHERE,
    Cause,
    Ladder,
    Purpose,
    Reason,
    Rung,
    Scope,
)
from tradesaga.domain.orders import Order
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.metrics import Metrics
from tradesaga.ports.records import Records

log = get_logger()
CONFLICTS_MAX: Final = 5
RETRY_SECONDS: Final = 0.5


class LadderState:
    """One agent's ladder; `on_tightened` is called whenever more is forbidden than before.

    `settled` is set while the database has all that is in force.
    """

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        metrics: Metrics,
        agent_id: AgentId,
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._agent_id = agent_id
        self._turn = asyncio.Lock()
        self._due = asyncio.Event()
        self.settled = asyncio.Event()
        self._notes: list[Entry] = []
        self._left_by: dict[tuple[Cause, Scope], tuple[str, str]] = {}
        empty = Ladder(id=agent_id, agent_id=agent_id, updated_at=clock.now())
        self._stored = self._wanted = self._in_force = empty
        self._is_loaded = False
        self.on_tightened: Callable[[], None] = lambda: None

    # ---- what stands ---------------------------------------------------------------------------

    @property
    def ladder(self) -> Ladder:
        """What is in force."""
        return self._in_force

    @property
    def is_stored(self) -> bool:
        """Whether all that is in force is in the database."""
        return self._is_loaded and self._stored.reasons == self._wanted.reasons

    def rung(self, strategy: str | None = None, symbol: str | None = None) -> Rung:
        """The rung in force for orders of `strategy` (its id) on `symbol`."""
        return self._in_force.rung(strategy, symbol)

    def refusal(self, purpose: Purpose, strategy: str | None, symbol: str | None) -> str:
        """Why such an order is not allowed; empty when it is."""
        return self._in_force.refusal(purpose, strategy, symbol)

    def refusal_to_send(self, order: Order) -> str:
        """Why `order` may not be sent now; empty when it may."""
        purpose = Purpose.ENTRY if order.opening else Purpose.EXIT
        strategy = None if order.strategy_id is None else str(order.strategy_id)
        return self._in_force.refusal(purpose, strategy, order.symbol)

    # ---- what is observed ----------------------------------------------------------------------

    def enter(
        self,
        cause: Cause,
        detail: str,
        *,
        scope: Scope = EVERYWHERE,
        who: str = ENGINE,
        anew: bool = False,
    ) -> None:
        """The cause is there; in force at once. `anew`: even if a person knows of one like it."""
        before = self._wanted
        reason = Reason(cause=cause, scope=scope, detail=detail, since=self._clock.now(), who=who)
        self._want(machine.enter(before, reason, anew=anew))
        if before.standing(cause, scope) is not self._wanted.standing(cause, scope):
            self._metrics.error_occurred(cause)
            log.warning(
                "ladder entered", cause=cause, rung=reason.rung, scope=scope.name, detail=detail
            )

    def absent(self, cause: Cause, *, scope: Scope = EVERYWHERE) -> None:
        """The cause was looked for and is not there."""
        self._want(machine.check_absent(self._wanted, cause, scope, self._clock.now()))

    def observe(self, cause: Cause, detail: str, *, scope: Scope = EVERYWHERE) -> None:
        """One look at a cause: it is there if `detail` says so, else it is not."""
        if detail:
            self.enter(cause, detail, scope=scope)
        else:
            self.absent(cause, scope=scope)

    def session_began(self) -> None:
        """A new trading session: what was to last for the one before is over."""
        self._want(machine.session_began(self._wanted, self._clock.now()))

    def note(self, entry: Entry) -> None:
        """Have an audit entry written as soon as the database takes it."""
        self._notes.append(entry)
        self._due.set()

    # ---- what a person says --------------------------------------------------------------------

    async def acknowledge(self, cause: Cause, scope: Scope, operator: str) -> None:
        """See `domain/ladder.py`; durable when it returns.

        Raises:
            Invalid: as the domain.
            Unavailable: the database is away; nothing was changed.
        """
        await self._database_answers()
        now = self._clock.now()
        self._left_by[cause, scope] = operator, "acknowledged"
        self._want(machine.acknowledge(self._wanted, cause, scope, operator, now))
        await self.write()

    async def rearm(self, scope: Scope, operator: str, reason: str) -> tuple[Reason, ...]:
        """Re-arm just that scope; durable when it returns. What was left by it.

        Raises:
            Invalid: no operator or no reason.
            Unavailable: the database is away; nothing was changed.
        """
        before = self._wanted
        machine.rearm(before, scope, operator, reason, self._clock.now())
        await self._database_answers()
        after = machine.rearm(self._wanted, scope, operator, reason, self._clock.now())
        gone = machine.left(self._wanted, after)
        self._left_by |= {r.key: (operator, reason) for r in gone}
        self._want(after)
        await self.write()
        return gone

    # ---- keeping it ----------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what stands; what was entered before stands on. Raises Unavailable."""
        stored = await self._records.ladder(self._agent_id)
        if stored is not None:
            self._stored = stored
            wanted = stored
            for reason in self._wanted.reasons:
                wanted = machine.enter(wanted, reason)
            self._wanted = wanted
        self._is_loaded = True
        self._became()

    async def run(self) -> None:
        """Write whatever is wanted and not stored, for ever. Raises Fenced."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self.write()
            except Unavailable as error:
                log.warning("the ladder is not written yet", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)  # noqa: TID251 -- real time
                self._due.set()

    async def write(self) -> None:
        """Commit what is wanted; returns when it is stored. Raises Fenced, Unavailable."""
        async with self._turn:
            conflicts = 0
            while not self.is_stored or self._notes:
                notes = tuple(self._notes)
                row = replace(self._wanted, version=self._stored.version + 1)
                try:
                    await self._scribe.fact(self._rows(row), (*self._said(row), *notes))
                except Fenced:
                    raise
                except Conflict:
                    conflicts += 1
                    if conflicts >= CONFLICTS_MAX:
                        raise
                    await self.load()
                    continue
                del self._notes[: len(notes)]
                self._stored = row if row.reasons != self._stored.reasons else self._stored
                self._became()

    def _rows(self, row: Ladder) -> tuple[Row, ...]:
        if row.reasons == self._stored.reasons:
            return ()
        return (Insert(row) if row.version == 1 else Update(row),)

    def _said(self, row: Ladder) -> list[Entry]:
        before, kept = self._stored, {r.key: r for r in self._stored.reasons}
        said = []
        for reason in machine.entered(before, row):
            known = reason.key in kept and bool(reason.acknowledged_by)
            who = reason.acknowledged_by if known else reason.who
            kind = "ladder.acknowledged" if known else "ladder.entered"
            said.append(self._entry(kind, reason, who, event=not known))
        for reason in machine.left(before, row):
            who, why = self._left_by.pop(reason.key, (ENGINE, "the cause has gone"))
            said.append(self._entry("ladder.left", reason, who, why=why))
        return said

    def _entry(
        self, kind: str, reason: Reason, who: str, *, why: str = "", event: bool = False
    ) -> Entry:
        body = {
            "cause": reason.cause,
            "rung": reason.rung,
            "scope": reason.scope.kind,
            "subject": reason.scope.subject,
            "detail": reason.detail,
            "since": reason.since,
            "exit": reason.exit,
            "reason": why,
        }
        told = _event(reason, self._agent_id) if event else None
        return Entry(kind=kind, subject=str(self._agent_id), actor=who, body=body, event=told)

    async def _database_answers(self) -> None:
        """Raises Unavailable: a command is refused rather than done at some later time."""
        await self._records.ladder(self._agent_id)

    def _want(self, ladder: Ladder) -> None:
        if ladder is self._wanted:
            return
        self._wanted = ladder
        self._became()
        if self._stored.reasons != ladder.reasons:
            self._due.set()

    def _became(self) -> None:
        before, self._in_force = self._in_force, _stricter(self._wanted, self._stored)
        self._metrics.ladder_rung(self._in_force.rung().severity)
        if self.is_stored:
            self.settled.set()
        else:
            self.settled.clear()
        if machine.entered(before, self._in_force):
            self.on_tightened()


def _stricter(wanted: Ladder, stored: Ladder) -> Ladder:
    """What stands in either, each reason as its worse form."""
    standing = {r.key: r for r in stored.reasons}
    for reason in wanted.reasons:
        other = standing.get(reason.key)
        if other is None or reason.rung.severity >= other.rung.severity:
            standing[reason.key] = reason
    return replace(wanted, reasons=tuple(standing.values()))


def _event(reason: Reason, agent_id: AgentId) -> Event:
    payload = {
        "service": "orchestrator",
        "errorCode": reason.cause,
        "message": brief(f"{reason.rung} for {reason.scope.name}: {reason.detail}"),
        "severity": "critical" if reason.rung is Rung.HALTED else "warning",
        "context": {"rung": reason.rung, "scope": reason.scope.name, "exit": reason.exit},
        "recoverable": reason.rung is not Rung.HALTED,
        "alertSent": False,
        "occurredAt": reason.since,
    }
    told = derived(agent_id, "ladder", reason.cause, reason.scope.name, reason.since)
    return Event(type=ERROR_OCCURRED, payload=payload, correlation_id=str(told))
