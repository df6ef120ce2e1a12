"""The kill switch: close the gate, mark it, take the orders in, and only then write it down.

    API, CLI    kill()      closes the gate in memory before anything else
    file        noticed()   the watcher's thread has closed it already
    signal      noticed()   the handler has closed it already

Each step stands by itself: the gate needs nothing, the mark needs a disk, the cancels need the
venue, the row needs the database and is written when it can be. Nothing opens the gate but
`rearm`: a named operator with a reason, written to the database first, then taken off the disk,
then out of memory, so that a process that dies in between starts halted. On REDUCE_ONLY the own
working entries are cancelled through their sagas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from structlog import get_logger

from tradesaga.domain.errors import Fenced, Invalid, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import (
    EVERYWHERE,
    Cause,
    Purpose,
    Reason,
    Rung,
    Scope,
    ScopeKind,
)
from tradesaga.domain.orders import ENDED
from tradesaga.engine.kill_sweep import Fate, KillSweep, Sweep
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.world import World
from tradesaga.ports.clock import Clock
from tradesaga.ports.halt_marks import HaltMarks
from tradesaga.ports.journal import Entry
from tradesaga.ports.ladder_operations import Killed, LadderView, Rearmed, Unresolved
from tradesaga.ports.metrics import ErrorType, Metrics

log = get_logger()
ANSWER_SECONDS_MAX: Final = 1.0
"""How long a kill waits for its cancels to be out before it answers."""
RECORD_SECONDS_MAX: Final = 0.2
NOT_HERE: Final = "the orchestrator is starting, or another node holds the agent; ask again"
NO_REASON: Final = "no reason given"


class KillSwitch:
    """Implements `ports.ladder_operations`; one agent on one node."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        desk: TradeDesk,
        book: StrategyBook,
        ladder: LadderState,
        gate: SendGate,
        sweeper: KillSweep,
        marks: HaltMarks | None,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._agent_id = agent_id
        self._desk = desk
        self._book = book
        self._ladder = ladder
        self._gate = gate
        self._sweeper = sweeper
        self._marks = marks
        self._clock = clock
        self._metrics = metrics
        self._due = asyncio.Event()
        self._last: tuple[Scope, Sweep, bool] | None = None
        self._next: Sweep | None = None
        self._watching = False
        self.on_rearmed: Callable[[Sequence[Reason]], None] = lambda _: None
        ladder.on_tightened = self._due.set
        gate.ask(ladder.refusal_to_send)

    # ---- the driving port ----------------------------------------------------------------------

    async def ladder(self) -> LadderView:
        """See `ports.ladder_operations`."""
        return self._view()

    async def kill(
        self, scope: Scope, *, reason: str, who: str, rung: Rung = Rung.HALTED
    ) -> Killed:
        """See `ports.ladder_operations`."""
        scope = self._known(scope)
        at, why = self._clock.now(), reason or NO_REASON
        if rung is Rung.HALTED:
            self._gate.close(scope)
        sweep = self._next_sweep(f"kill switch: {why}")
        cause = Cause.KILL_SWITCH if rung is Rung.HALTED else Cause.OPERATOR_REDUCE_ONLY
        self._ladder.enter(cause, why, scope=scope, who=who)
        self._due.set()  # also when it stood already: there may be orders of before
        log.error("kill switch", scope=scope.name, rung=rung, reason=why, who=who)
        marked = rung is Rung.HALTED and await self._mark(scope, why, who, at)
        self._last = scope, sweep, marked
        await _at_most(ANSWER_SECONDS_MAX, sweep.asked.wait())
        await _at_most(RECORD_SECONDS_MAX, self._ladder.settled.wait())
        return self._killed(scope, sweep, marked)

    async def rearm(self, scope: Scope, *, operator: str, reason: str) -> Rearmed:
        """See `ports.ladder_operations`."""
        scope = self._known(scope)
        if self._marks is not None and not self._watching:
            # The mark of this scope may be noticed while it is re-armed, and would halt it again.
            raise Unavailable(NOT_HERE)
        try:
            ended = await self._ladder.rearm(scope, operator, reason)
        except Fenced as error:
            raise Unavailable(NOT_HERE) from error
        if self._marks is not None:
            await self._marks.clear(scope)
        self._gate.open(scope)
        self.on_rearmed(ended)
        log.warning("re-armed", scope=scope.name, operator=operator, reason=reason)
        return Rearmed(ended=ended, view=self._view())

    async def acknowledge(self, cause: Cause, scope: Scope, *, operator: str) -> LadderView:
        """See `ports.ladder_operations`."""
        try:
            await self._ladder.acknowledge(cause, self._known(scope), operator)
        except Fenced as error:
            raise Unavailable(NOT_HERE) from error
        return self._view()

    # ---- what the node runs --------------------------------------------------------------------

    def noticed(self, scopes: Sequence[Scope]) -> None:
        """Marks stand that the watcher has closed the gate for."""
        for scope in scopes:
            why = "a mark of the kill switch stands on this machine"
            self._ladder.enter(Cause.KILL_SWITCH, why, scope=scope, who="mark")
        self._due.set()

    def begin_halted(self, reason: str, who: str) -> None:
        """All agents were halted before this one began here; written once its lease lets it."""
        self._gate.close(EVERYWHERE)
        self._ladder.enter(Cause.KILL_SWITCH, reason or NO_REASON, scope=EVERYWHERE, who=who)
        self._due.set()

    async def run(self) -> None:
        """Take in what may not be at the venue any more, whenever that changes, for ever."""
        if self._marks is not None:
            self._marks.watch(self.noticed)
        self._watching = True
        for reason in self._ladder.ladder.reasons:
            if reason.cause is Cause.KILL_SWITCH:
                self._gate.close(reason.scope)
        self._due.set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._due.wait()
                self._due.clear()
                halted = self._enforce()
                sweep, self._next = self._next, None
                if sweep is None and halted:
                    sweep = self._sweep("HALTED")
                if sweep is not None:
                    group.create_task(self._bring_in(sweep, halted), name="kill sweep")

    def _enforce(self) -> list[OpenTrade]:
        """Have entries cancelled where only reducing goes; those that are halted."""
        halted = []
        for trade in self._desk.trades:
            order = trade.state.order
            if not order.opening or order.status in ENDED:
                continue
            strategy = None if order.strategy_id is None else str(order.strategy_id)
            rung = self._ladder.rung(strategy, order.symbol)
            if rung is Rung.HALTED:
                halted.append(trade)
            elif rung is Rung.REDUCE_ONLY:
                trade.wish_cancel(self._ladder.refusal(Purpose.ENTRY, strategy, order.symbol))
        return halted

    async def _bring_in(self, sweep: Sweep, trades: Sequence[OpenTrade]) -> None:
        await self._sweeper.run(sweep, trades)
        self._metrics.kill_unresolved(len(sweep.unresolved))
        if not sweep.orders:
            return  # nothing was open, or another sweep has it in hand
        before = None if self._last is None else self._last[1]
        if before is None or (before is not sweep and before.ended is not None):
            self._last = EVERYWHERE, sweep, False
        for swept in sweep.unresolved:
            self._metrics.error_occurred(ErrorType.KILL_UNRESOLVED)
            log.error(
                "kill switch: no verdict", **ids_of(swept.order),
                venue_order_id=swept.order.venue_order_id, symbol=swept.order.symbol,
                said=swept.said,
            )  # fmt: skip
        report = _report(sweep)
        log.warning("kill switch: orders taken in", **{k: report[k] for k in ("orders", "ended")})
        self._ladder.note(
            Entry(
                kind="alert" if sweep.unresolved else "kill.swept",
                subject=str(self._agent_id),
                actor="engine",
                body=report,
            )
        )
        if self._marks is not None:
            await self._marks.report(report)

    # ---- parts ---------------------------------------------------------------------------------

    def _sweep(self, why: str) -> Sweep:
        return Sweep(why=why, at=self._clock.now(), began=self._clock.monotonic())

    def _next_sweep(self, why: str) -> Sweep:
        """The sweep that the loop begins next: kills of one moment share it."""
        if self._next is None:
            self._next = self._sweep(why)
        return self._next

    async def _mark(self, scope: Scope, reason: str, who: str, at: datetime) -> bool:
        if self._marks is None:
            return False
        content = {"reason": reason, "who": who, "at": at.isoformat()}
        return await self._marks.set(scope, content)

    def _known(self, scope: Scope) -> Scope:
        """With the id of a strategy that is named; as it is while no strategy is loaded."""
        if scope.kind is not ScopeKind.STRATEGY:
            return scope
        strategies = self._book.known()
        for strategy in strategies:
            if scope.subject in (str(strategy.id), strategy.external_id):
                return Scope(ScopeKind.STRATEGY, str(strategy.id))
        if strategies:
            raise Invalid([f"there is no strategy {scope.subject}"])
        return scope

    def _view(self) -> LadderView:
        return LadderView(
            ladder=self._ladder.ladder,
            rung=Rung.HALTED if EVERYWHERE in self._gate.halted else self._ladder.rung(),
            recorded=self._ladder.is_stored,
            halted=sorted(self._gate.halted, key=lambda scope: scope.name),
            last_kill=None if self._last is None else self._killed(*self._last),
        )

    def _killed(self, scope: Scope, sweep: Sweep, marked: bool) -> Killed:
        return Killed(
            scope=scope,
            at=sweep.at,
            marked=marked,
            recorded=self._ladder.is_stored,
            orders=len(sweep.orders),
            asked=sum(1 for swept in sweep.orders if swept.asked_at is not None),
            ended=sweep.count(Fate.ENDED, Fate.NEVER_SENT),
            unresolved=[
                Unresolved(
                    client_order_id=swept.order.client_order_id,
                    venue_order_id=swept.order.venue_order_id,
                    symbol=swept.order.symbol,
                    said=swept.said,
                )
                for swept in sweep.unresolved
            ],
        )


def kill_switch(
    world: World, agent_id: AgentId, desk: TradeDesk, book: StrategyBook, ladder: LadderState
) -> KillSwitch:
    """The kill switch of one agent, on the gate and the marks of its process."""
    return KillSwitch(
        agent_id=agent_id,
        desk=desk,
        book=book,
        ladder=ladder,
        gate=world.gate,
        sweeper=KillSweep(venue=world.venue, clock=world.clock),
        marks=world.marks,
        clock=world.clock,
        metrics=world.metrics,
    )


def _report(sweep: Sweep) -> Mapping[str, Any]:
    last = max((s.asked_at for s in sweep.orders if s.asked_at is not None), default=sweep.began)
    return {
        "why": sweep.why,
        "at": sweep.at.isoformat(),
        "orders": len(sweep.orders),
        "ended": sweep.count(Fate.ENDED, Fate.NEVER_SENT),
        "cancelsOutMs": round((last - sweep.began) * 1000),
        "doneMs": round(((sweep.ended or sweep.began) - sweep.began) * 1000),
        "unresolved": [
            {
                "clientOrderId": swept.order.client_order_id,
                "venueOrderId": swept.order.venue_order_id,
                "symbol": swept.order.symbol,
                "said": swept.said,
            }
            for swept in sweep.unresolved
        ],
    }


async def _at_most(seconds: float, waiting: Any) -> None:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return
