"""The degradation ladder: how much the agent may still do, and why.

    rung         still allowed              left when
    NORMAL       everything
    NO_ENTRIES   exits, cancels             the cause is gone for two checks, or see `Exit`
    REDUCE_ONLY  the same; own working      acknowledged, or recovered
                 entries are cancelled
    HALTED       cancels, an operator's     a named operator re-arms, with a reason
                 single exit

Reasons stand in a set; the rung in force is the worst of all that stand for the strategy and the
symbol in question. A machine enters reasons and may only clear those whose cause has gone; what
needs a person is left by that person's command alone. An acknowledged cause that still goes on
stays in the set, with less or no effect, so that it is not entered anew with each check.
A ladder that cannot be read is HALTED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId

CHECKS_TO_CLEAR: Final = 2
"""In how many checks in a row a cause must be absent until its reason goes."""
ENGINE: Final = "engine"


class Rung(StrEnum):
    """From everything to almost nothing; compare by `severity`, `worst` picks."""

    NORMAL = "NORMAL"
    NO_ENTRIES = "NO_ENTRIES"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"

    @property
    def severity(self) -> int:
        """0 for NORMAL to 3 for HALTED."""
        return _ORDER.index(self)

    def allows(self, purpose: Purpose) -> bool:
        """Whether an order or request of that purpose may be sent on this rung."""
        return self.severity <= _LAST_RUNG[purpose].severity


class Purpose(StrEnum):
    """What is to be sent: `OPERATOR_EXIT` is one exit that a person orders by hand."""

    ENTRY = "entry"
    EXIT = "exit"
    OPERATOR_EXIT = "operator_exit"
    CANCEL = "cancel"


_ORDER: Final = tuple(Rung)
_LAST_RUNG: Final = {
    Purpose.ENTRY: Rung.NORMAL,
    Purpose.EXIT: Rung.REDUCE_ONLY,
    Purpose.OPERATOR_EXIT: Rung.HALTED,
    Purpose.CANCEL: Rung.HALTED,
}


def worst(*rungs: Rung) -> Rung:
    """The most severe; NORMAL of none."""
    return max(rungs, key=lambda rung: rung.severity, default=Rung.NORMAL)


class Exit(StrEnum):
    """What ends a reason. `RECOVERY` also takes an acknowledgement, which lowers the effect."""

    RECOVERY = "recovery"
    SESSION = "session"
    ACKNOWLEDGED = "acknowledged"
    REARM = "rearm"


class Cause(StrEnum):
    """Why a reason stands; what it does and what ends it is in `RULES`."""

    STALE_DATA = "STALE_DATA"
    TRADING_ENGINE_DOWN = "TRADING_ENGINE_DOWN"
    AI_DECISION_DOWN = "AI_DECISION_DOWN"
    MARKET_DATA_DOWN = "MARKET_DATA_DOWN"
    EVENT_BUS_DOWN = "EVENT_BUS_DOWN"
    DATABASE_SLOW = "DATABASE_SLOW"
    LEASE_STALL = "LEASE_STALL"
    CYCLE_FAILURES = "CYCLE_FAILURES"
    DECISION_FAILURES = "DECISION_FAILURES"
    CLOCK_SKEW = "CLOCK_SKEW"
    CALENDAR_UNKNOWN = "CALENDAR_UNKNOWN"
    ENGINE_NOT_PARKED = "ENGINE_NOT_PARKED"
    DRIFT = "DRIFT"
    CASH_DRIFT = "CASH_DRIFT"
    FOREIGN_ORDER = "FOREIGN_ORDER"
    STRAY_ORDER = "STRAY_ORDER"
    DAILY_LOSS = "DAILY_LOSS"
    REPEATED_EXECUTION = "REPEATED_EXECUTION"
    DRAWDOWN_YELLOW = "DRAWDOWN_YELLOW"
    DRAWDOWN_ORANGE = "DRAWDOWN_ORANGE"
    OVERFILL = "OVERFILL"
    OPERATOR_REDUCE_ONLY = "OPERATOR_REDUCE_ONLY"
    DAILY_LOSS_HALT = "DAILY_LOSS_HALT"
    DRAWDOWN_RED = "DRAWDOWN_RED"
    VENUE_FORGOT = "VENUE_FORGOT"
    KILL_SWITCH = "KILL_SWITCH"
    BOOKS_IN_DOUBT = "BOOKS_IN_DOUBT"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rung that a cause demands and what ends it; `acknowledged` is the rung left then."""

    rung: Rung
    exit: Exit
    acknowledged: Rung = Rung.NORMAL


_RECOVERABLE: Final = Rule(Rung.NO_ENTRIES, Exit.RECOVERY)
_BY_HAND: Final = Rule(Rung.HALTED, Exit.REARM, Rung.HALTED)
RULES: Final = {
    Cause.STALE_DATA: _RECOVERABLE,
    Cause.TRADING_ENGINE_DOWN: _RECOVERABLE,
    Cause.AI_DECISION_DOWN: _RECOVERABLE,
    Cause.MARKET_DATA_DOWN: _RECOVERABLE,
    Cause.EVENT_BUS_DOWN: _RECOVERABLE,
    Cause.DATABASE_SLOW: _RECOVERABLE,
    Cause.LEASE_STALL: _RECOVERABLE,
    Cause.CYCLE_FAILURES: _RECOVERABLE,
    Cause.DECISION_FAILURES: _RECOVERABLE,
    Cause.CLOCK_SKEW: _RECOVERABLE,
    Cause.CALENDAR_UNKNOWN: _RECOVERABLE,
    Cause.ENGINE_NOT_PARKED: _RECOVERABLE,
    Cause.DRIFT: _RECOVERABLE,
    Cause.CASH_DRIFT: _RECOVERABLE,
    Cause.FOREIGN_ORDER: Rule(Rung.NO_ENTRIES, Exit.ACKNOWLEDGED),
    Cause.STRAY_ORDER: Rule(Rung.NO_ENTRIES, Exit.ACKNOWLEDGED),
    Cause.REPEATED_EXECUTION: _RECOVERABLE,
    Cause.DAILY_LOSS: Rule(Rung.NO_ENTRIES, Exit.SESSION, Rung.NO_ENTRIES),
    Cause.DRAWDOWN_YELLOW: Rule(Rung.NO_ENTRIES, Exit.RECOVERY, Rung.NO_ENTRIES),
    Cause.DRAWDOWN_ORANGE: Rule(Rung.REDUCE_ONLY, Exit.RECOVERY, Rung.NO_ENTRIES),
    Cause.OVERFILL: Rule(Rung.REDUCE_ONLY, Exit.ACKNOWLEDGED),
    Cause.OPERATOR_REDUCE_ONLY: Rule(Rung.REDUCE_ONLY, Exit.REARM, Rung.REDUCE_ONLY),
    Cause.DAILY_LOSS_HALT: _BY_HAND,
    Cause.DRAWDOWN_RED: _BY_HAND,
    Cause.VENUE_FORGOT: _BY_HAND,
    Cause.KILL_SWITCH: _BY_HAND,
    Cause.BOOKS_IN_DOUBT: _BY_HAND,
    Cause.UNREADABLE: _BY_HAND,
}
"""Every cause: what it demands, and what ends it."""


class ScopeKind(StrEnum):
    """How far a reason reaches."""

    ALL = "all"
    STRATEGY = "strategy"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Scope:
    """All, or one strategy or symbol: `subject` is the strategy's id or the symbol, else empty."""

    kind: ScopeKind = ScopeKind.ALL
    subject: str = ""

    def covers(self, strategy: str | None, symbol: str | None) -> bool:
        """Whether it reaches orders of that strategy on that symbol."""
        match self.kind:
            case ScopeKind.ALL:
                return True
            case ScopeKind.STRATEGY:
                return self.subject == strategy
            case ScopeKind.SYMBOL:
                return self.subject == symbol

    @property
    def name(self) -> str:
        """For people: `all`, `symbol SPY`."""
        return f"{self.kind} {self.subject}".rstrip()


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One cause that stands. `who` entered it; `absent` counts checks and is not stored."""

    cause: Cause
    scope: Scope = EVERYWHERE
    detail: str
    since: datetime
    who: str = ENGINE
    acknowledged_by: str = ""
    absent: int = field(default=0, compare=False)

    @property
    def rung(self) -> Rung:
        """What it demands now."""
        rule = RULES[self.cause]
        return rule.acknowledged if self.acknowledged_by else rule.rung

    @property
    def exit(self) -> Exit:
        """What ends it."""
        return RULES[self.cause].exit

    @property
    def key(self) -> tuple[Cause, Scope]:
        """A cause stands once in each scope."""
        return self.cause, self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """All reasons that stand, in order of their entering; `id` is that of the agent.

    `version` counts the commits of the row; it is 0 before the first.
    """

    id: AgentId
    agent_id: AgentId
    updated_at: datetime
    reasons: tuple[Reason, ...] = ()
    version: int = 0

    def rung(self, strategy: str | None = None, symbol: str | None = None) -> Rung:
        """The worst of what stands for orders of `strategy` on `symbol`; None for neither."""
        return worst(*(r.rung for r in self.reasons if r.scope.covers(strategy, symbol)))

    def refusal(self, purpose: Purpose, strategy: str | None, symbol: str | None) -> str:
        """Why an order may not be sent, with every reason that forbids it; empty when it may."""
        no = [
            f"{r.rung} by {r.cause}" + (f": {r.detail}" if r.detail else "")
            for r in self.reasons
            if r.scope.covers(strategy, symbol) and not r.rung.allows(purpose)
        ]
        return "; ".join(no)

    def standing(self, cause: Cause, scope: Scope = EVERYWHERE) -> Reason | None:
        """The reason of that cause in just that scope."""
        return next((r for r in self.reasons if r.key == (cause, scope)), None)


def enter(ladder: Ladder, reason: Reason, *, anew: bool = False) -> Ladder:
    """With `reason`; one that stands already stays as it was, as present as ever.

    `anew`: it is another than the one that a person knows of, and takes its place.
    """
    known = ladder.standing(*reason.key)
    if known is not None and known.acknowledged_by and anew:
        ladder = _without(ladder, lambda r: r.key == reason.key, reason.since)
        known = None
    if known is None:
        return replace(ladder, reasons=(*ladder.reasons, reason), updated_at=reason.since)
    if known.absent == 0:
        return ladder
    return _each(ladder, lambda r: replace(r, absent=0) if r.key == reason.key else r)


def check_absent(ladder: Ladder, cause: Cause, scope: Scope, now: datetime) -> Ladder:
    """The cause was looked for and is not there: at the second time in a row its reason goes.

    Reasons that need a session or a person are left as they are.
    """
    known = ladder.standing(cause, scope)
    if known is None or known.exit is not Exit.RECOVERY:
        return ladder
    if known.absent + 1 >= CHECKS_TO_CLEAR:
        return _without(ladder, lambda r: r.key == known.key, now)
    return _each(ladder, lambda r: replace(r, absent=r.absent + 1) if r is known else r)


def session_began(ladder: Ladder, at: datetime) -> Ladder:
    """A new session: what was to last for the one before is over."""
    return _without(ladder, lambda r: r.exit is Exit.SESSION and r.since < at, at)


def acknowledge(ladder: Ladder, cause: Cause, scope: Scope, operator: str, now: datetime) -> Ladder:
    """A person knows of the cause: its reason goes, or has less effect until the cause has gone.

    Raises:
        Invalid: no operator, no such reason, or one that only another command ends.
    """
    problems = [] if operator.strip() else ["`operator` is empty: name who acknowledges"]
    known = ladder.standing(cause, scope)
    if known is None:
        problems.append(
            f"{cause} does not stand for {scope.name}; `tradesaga ladder` shows what does"
        )
    elif known.exit is Exit.REARM:
        problems.append(f"{cause} is left by re-arming only; use `tradesaga rearm`")
    elif known.exit is Exit.SESSION:
        problems.append(f"{cause} ends with the start of the next session")
    if problems or known is None:
        raise Invalid(problems)
    if known.exit is Exit.ACKNOWLEDGED:
        return _without(ladder, lambda r: r.key == known.key, now)
    marked = replace(known, acknowledged_by=operator)
    return replace(_each(ladder, lambda r: marked if r is known else r), updated_at=now)


def rearm(ladder: Ladder, scope: Scope, operator: str, reason: str, now: datetime) -> Ladder:
    """Without what a person or a loss limit stopped in just that scope; the same if nothing was.

    Raises:
        Invalid: no operator or no reason is named.
    """
    problems = [] if operator.strip() else ["`operator` is empty: name who re-arms"]
    if not reason.strip():
        problems.append("`reason` is empty: say why it is safe to trade again")
    if problems:
        raise Invalid(problems)
    return _without(ladder, lambda r: r.exit is Exit.REARM and r.scope == scope, now)


def unreadable(agent_id: AgentId, why: str, now: datetime, *, version: int) -> Ladder:
    """What stands in for a stored ladder that nobody can read; `version` is that of its row."""
    halt = Reason(cause=Cause.UNREADABLE, detail=why, since=now)
    return Ladder(id=agent_id, agent_id=agent_id, updated_at=now, reasons=(halt,), version=version)


def entered(before: Ladder, after: Ladder) -> tuple[Reason, ...]:
    """What stands in `after` and did not, or not so, in `before`."""
    return tuple(r for r in after.reasons if r not in before.reasons)


def left(before: Ladder, after: Ladder) -> tuple[Reason, ...]:
    """What stood in `before` and does not in `after`."""
    keys = {r.key for r in after.reasons}
    return tuple(r for r in before.reasons if r.key not in keys)


def _each(ladder: Ladder, change: Callable[[Reason], Reason]) -> Ladder:
    return replace(ladder, reasons=tuple(change(r) for r in ladder.reasons))


def _without(ladder: Ladder, gone: Callable[[Reason], bool], now: datetime) -> Ladder:
    kept = tuple(r for r in ladder.reasons if not gone(r))
    if len(kept) == len(ladder.reasons):
        return ladder
    return replace(ladder, reasons=kept, updated_at=now)
