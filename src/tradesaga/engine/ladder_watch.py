"""Enters what the agent notices by itself on the ladder, and tells it when the cause has gone.

    heartbeat       a service is down, the calendar ends or is disputed
    comparison      positions differ, at the venue and in our books, and do not heal
    end of a cycle  analyses fail in a row
    answers         the decision maker of a strategy stays silent in cycles in a row
    fill            the venue filled more than was ordered

Counts are kept in memory and begin anew with each process; reasons that stand are stored, and stand
until their cause was looked for and not found. What could not be looked at changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.ladder import EVERYWHERE, Cause, Scope, ScopeKind
from tradesaga.domain.orders import Order
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.decision_requests import Question
from tradesaga.engine.health import AI_DECISION, MARKET_DATA, TRADING_ENGINE
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.settings import EngineSettings
from tradesaga.ports.saga_operations import LockReason, SymbolLock
from tradesaga.ports.services import Health

CYCLE_FAILURES_MAX: Final = 3
DAY: Final = timedelta(days=1)
DRIFT_CHECKS_MAX: Final = 3
"""Comparisons in a row that find another position before nothing opens on the symbol."""
LOCKS: Final = {
    Cause.DRIFT: LockReason.QUARANTINE,
    Cause.STRAY_ORDER: LockReason.STRAY_ORDER,
}
"""What locks a symbol besides the rung that the ladder has for it."""
DRIFTING_SYMBOLS_MAX: Final = 2
"""So many symbols that do not heal are no matter of one symbol any more: nothing opens at all."""
DISPUTE_CHECKS_MAX: Final = 2
SERVICES: Final = {
    TRADING_ENGINE: Cause.TRADING_ENGINE_DOWN,
    AI_DECISION: Cause.AI_DECISION_DOWN,
    MARKET_DATA: Cause.MARKET_DATA_DOWN,
}
DOWN: Final = frozenset({Health.UNHEALTHY, Health.UNREACHABLE})


class LadderWatch:
    """Watches for one agent; never waits."""

    def __init__(
        self,
        *,
        ladder: LadderState,
        state: AgentState,
        settings: EngineSettings,
    ) -> None:
        self._ladder = ladder
        self._state = state
        self._settings = settings
        self._failed = 0
        self._drifting: Counter[str] = Counter()
        self._disputed = 0
        self._silent: Counter[StrategyId] = Counter()

    def services(self, found: Mapping[str, Health]) -> None:
        """Each service was polled."""
        for name, cause in SERVICES.items():
            health = found[name]
            self._ladder.observe(cause, f"{name} is {health}" if health in DOWN else "")

    def calendar(self, ended: str, disputed: str) -> None:
        """The calendar was looked at: why it says nothing of now, and what its second source says.

        A dispute must last for `DISPUTE_CHECKS_MAX` looks: at an open the two may differ for a
        moment. The gate of the market refuses entries from its first moment on.
        """
        self._disputed = self._disputed + 1 if disputed else 0
        if ended or self._disputed >= DISPUTE_CHECKS_MAX:
            self._ladder.enter(Cause.CALENDAR_UNKNOWN, ended or disputed)
        elif not disputed:
            self._ladder.absent(Cause.CALENDAR_UNKNOWN)

    def positions(self, differing: Mapping[str, str], *, left_out: Collection[str] = ()) -> None:
        """Positions were compared: how they differ, by symbol, and which could not be looked at.

        A symbol that neither side holds any more has been looked at, and is equal.
        """
        self._symbols(differing, left_out)
        drifting = LockReason.QUARANTINE
        quarantined = sorted(k.symbol for k in self.quarantines() if k.reason is drifting)
        if len(quarantined) >= DRIFTING_SYMBOLS_MAX:
            self._ladder.enter(Cause.DRIFT, f"positions differ in {', '.join(quarantined)}")
        else:
            self._ladder.absent(Cause.DRIFT)

    def quarantines(self) -> Sequence[SymbolLock]:
        """Symbols with drift that did not heal or a stray order, until a person knows of it."""
        return [
            SymbolLock(
                symbol=reason.scope.subject,
                reason=LOCKS[reason.cause],
                detail=reason.detail,
                since=reason.since,
            )
            for reason in self._ladder.ladder.reasons
            if reason.cause in LOCKS
            and reason.scope.kind is ScopeKind.SYMBOL
            and not reason.acknowledged_by
        ]

    def _symbols(self, differing: Mapping[str, str], left_out: Collection[str]) -> None:
        scopes = {r.scope for r in self._ladder.ladder.reasons if r.cause is Cause.DRIFT}
        for symbol, how in differing.items():
            self._drifting[symbol] += 1
            scope = _of_symbol(symbol)
            # One that stands was checked often enough, if by the process before this one.
            if self._drifting[symbol] >= DRIFT_CHECKS_MAX or scope in scopes:
                self._ladder.enter(Cause.DRIFT, how, scope=scope)
        equal = {*self._drifting, *(scope.subject for scope in scopes)}
        for symbol in equal - {*differing, *left_out, EVERYWHERE.subject}:
            self._drifting.pop(symbol, None)
            self._ladder.absent(Cause.DRIFT, scope=_of_symbol(symbol))

    def cycle_ended(self, cycle: Cycle) -> None:
        """Count analyses that fail; a cancelled one counts neither way."""
        if cycle.type is not CycleType.ANALYSIS:
            return
        if cycle.status is CycleStatus.COMPLETED:
            self._failed = 0
            self._ladder.absent(Cause.CYCLE_FAILURES)
        elif cycle.status is CycleStatus.FAILED:
            self._failed += 1
            if self._failed >= CYCLE_FAILURES_MAX:
                why = f"{CYCLE_FAILURES_MAX} analyses failed in a row"
                self._ladder.enter(Cause.CYCLE_FAILURES, why)

    def asked(self, questions: Sequence[Question]) -> None:
        """The questions of one cycle have their answers, or will have none."""
        answered = {
            strategy.id: any(q.answer is not None for q in questions if q.strategy is strategy)
            for strategy in (q.strategy for q in questions)
            if strategy is not None
        }
        limit = self._settings.limits[self._state.agent.mode].decision_failures_max
        for strategy_id, is_answered in answered.items():
            scope = Scope(ScopeKind.STRATEGY, str(strategy_id))
            if is_answered:
                self._silent.pop(strategy_id, None)
                self._ladder.absent(Cause.DECISION_FAILURES, scope=scope)
                continue
            self._silent[strategy_id] += 1
            if self._silent[strategy_id] >= limit:
                why = f"{limit} cycles in a row without an answer"
                self._ladder.enter(Cause.DECISION_FAILURES, why, scope=scope)

    def throttles(self, now: datetime) -> None:
        """Forget what a person has let go on, once none of its entries counts any more."""
        for reason in self._ladder.ladder.reasons:
            known = reason.cause is Cause.REPEATED_EXECUTION and bool(reason.acknowledged_by)
            if known and reason.since <= now - DAY:
                self._ladder.absent(reason.cause, scope=reason.scope)

    def failures_of(self, strategy_id: StrategyId | None) -> int:
        """In how many cycles in a row the decision maker of a strategy was silent."""
        return 0 if strategy_id is None else self._silent[strategy_id]

    def booked(self, order: Order) -> None:
        """Fills of `order` were booked."""
        if order.filled_quantity > order.quantity:
            why = (
                f"{order.client_order_id} of {order.symbol}: "
                f"{order.filled_quantity:f} filled, {order.quantity:f} ordered"
            )
            self._ladder.enter(Cause.OVERFILL, why)


def _of_symbol(symbol: str) -> Scope:
    return Scope(ScopeKind.SYMBOL, symbol)
