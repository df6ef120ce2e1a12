"""A strategy: which symbols it watches, how its decision maker is set, and whether it acts.

    active <-> stopped      stopped with `closing_at`: its positions are being closed
    live   <-> shadow       a shadow decides and never orders; only what is flat becomes one
    stopped and flat -> deleted, for ever: its trades keep their owner

Transitions answer with the same value when nothing changes, so that a repeat commits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.agent import Mode
from tradesaga.domain.errors import IllegalTransition, Invalid
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.market import Calendar
from tradesaga.domain.money import ZERO

SYMBOL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9./_-]{0,31}$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SYMBOLS_MAX = 500
PRIORITY_MAX = 1000
CLOSE_ATTEMPTS_MAX = 12
"""Tries to close the positions of a stopped strategy before a person is asked."""

ParameterValue = str | int | Decimal | bool


class StrategyStatus(StrEnum):
    """The values of the API."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


class StrategyMode(StrEnum):
    """Whether its decisions become orders. A shadow's are stored with what would have become."""

    LIVE = "live"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`external_id` is the name under which the neighbours know it.

    `closing_at` is since when its positions are being closed, `close_attempts` how often that was
    tried, `close_failure` why it was given up. `live_at` is since when it acts as it is now: with
    these parameters on these symbols; None when it has not yet, or nobody knows.
    """

    id: StrategyId
    agent_id: AgentId
    external_id: str
    name: str
    type: str
    symbols: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    status: StrategyStatus = StrategyStatus.ACTIVE
    risk_mode: str = "normal"
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    priority: int = 0
    last_run_at: datetime | None = None
    version: int = 1
    deleted_at: datetime | None = None
    closing_at: datetime | None = None
    close_attempts: int = 0
    close_failure: str = ""
    mode: StrategyMode = StrategyMode.LIVE
    live_at: datetime | None = None

    @property
    def is_shadow(self) -> bool:
        """Whether nothing that it decides may become an order."""
        return self.mode is StrategyMode.SHADOW

    @property
    def detail(self) -> str:
        """What the status does not say; empty when it says all."""
        if self.closing_at is not None:
            return f"stopping: closing its positions, attempt {self.close_attempts + 1}"
        return self.close_failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """From our own trades: realised profit and loss, closed trades, share of winners 0..1.

    `hypothetical`: from trades that a shadow would have made.
    """

    pnl: Decimal = ZERO
    trades: int = 0
    win_rate: Decimal = ZERO
    hypothetical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to be changed; None leaves it as it is."""

    name: str | None = None
    symbols: Sequence[str] | None = None
    risk_mode: str | None = None
    parameters: Mapping[str, ParameterValue] | None = None
    priority: int | None = None
    mode: StrategyMode | None = None


def edited(strategy: Strategy, edit: Edit, now: datetime, *, holds: Sequence[str] = ()) -> Strategy:
    """The strategy as `edit` wants it.

    Raises:
        Invalid: naming every field that cannot be.
        IllegalTransition: it is to become a shadow and still holds the symbols `holds`.
    """
    if edit.mode is StrategyMode.SHADOW and not strategy.is_shadow and holds:
        raise _still_holds(strategy, holds)
    after = replace(
        strategy,
        name=strategy.name if edit.name is None else edit.name,
        symbols=strategy.symbols if edit.symbols is None else tuple(edit.symbols),
        risk_mode=strategy.risk_mode if edit.risk_mode is None else edit.risk_mode,
        parameters=strategy.parameters if edit.parameters is None else dict(edit.parameters),
        priority=strategy.priority if edit.priority is None else edit.priority,
        mode=strategy.mode if edit.mode is None else edit.mode,
    )
    check(after)
    if _acts_on(after) != _acts_on(strategy):
        after = live(replace(after, live_at=None), now)
    return _changed(strategy, after, now)


def live(strategy: Strategy, now: datetime) -> Strategy:
    """It acts from `now` on, if its orders are sent and it did not act so before."""
    acts = strategy.status is StrategyStatus.ACTIVE and not strategy.is_shadow
    return replace(strategy, live_at=now) if acts and strategy.live_at is None else strategy


def is_on_first_day(strategy: Strategy, calendar: Calendar, now: datetime) -> bool | None:
    """Whether no whole session has passed since it acts as it is now; None: nobody knows.

    What goes live within a session is new to the end of the next one. A shadow is never new.
    """
    if strategy.is_shadow:
        return False
    if strategy.live_at is None:
        return None
    first = calendar.session_from(strategy.live_at)
    return first is None or now < first.close


def activated(strategy: Strategy, now: datetime) -> Strategy:
    """It acts from the next cycle on; closing what it holds is given up."""
    after = replace(
        strategy,
        status=StrategyStatus.ACTIVE,
        closing_at=None,
        close_attempts=0,
        close_failure="",
    )
    return _changed(strategy, live(after, now), now)


def deactivated(strategy: Strategy, now: datetime, *, close_positions: bool) -> Strategy:
    """It decides nothing any more; with `close_positions` what it holds is closed."""
    after = replace(strategy, status=StrategyStatus.STOPPED)
    if close_positions and strategy.closing_at is None:
        after = replace(after, closing_at=now, close_attempts=0, close_failure="")
    return _changed(strategy, after, now)


def close_failed(strategy: Strategy, reason: str, now: datetime) -> Strategy:
    """One try did not get it flat; the last one ends in `close_failure`."""
    attempts = strategy.close_attempts + 1
    if attempts < CLOSE_ATTEMPTS_MAX:
        return _changed(strategy, replace(strategy, close_attempts=attempts), now)
    after = replace(
        strategy,
        closing_at=None,
        close_attempts=attempts,
        close_failure=f"positions not closed after {attempts} attempts: {reason}",
    )
    return _changed(strategy, after, now)


def closed(strategy: Strategy, now: datetime) -> Strategy:
    """It holds nothing any more."""
    after = replace(strategy, closing_at=None, close_attempts=0, close_failure="")
    return _changed(strategy, after, now)


def deleted(strategy: Strategy, now: datetime, *, holds: Sequence[str]) -> Strategy:
    """It is not listed any more; its name stays taken, since its trades bear it.

    Raises:
        IllegalTransition: it is not stopped, or still holds the symbols `holds`.
    """
    if strategy.status is not StrategyStatus.STOPPED:
        raise IllegalTransition(
            f"strategy {strategy.name} is {strategy.status}: deactivate it first",
            state=strategy.status,
            allowed=("deactivate",),
        )
    if holds:
        raise _still_holds(strategy, holds)
    return _changed(strategy, replace(strategy, deleted_at=now), now)


def _still_holds(strategy: Strategy, holds: Sequence[str]) -> IllegalTransition:
    return IllegalTransition(
        f"strategy {strategy.name} holds {', '.join(holds)}: deactivate it with closePositions",
        state=strategy.status,
        allowed=("deactivate",),
    )


def check(strategy: Strategy) -> None:
    """Refuse what no strategy can be. Raises Invalid, one problem a field."""
    problems = []
    if re.fullmatch(NAME_PATTERN, strategy.name) is None:
        problems.append(
            f"name is {strategy.name!r}: it takes 1 to 100 letters, digits and . _ -, "
            "beginning with a letter or digit"
        )
    if not strategy.type.strip():
        problems.append("type is empty: it takes the decision maker's word for the rule")
    if not 1 <= len(strategy.symbols) <= SYMBOLS_MAX:
        problems.append(f"symbols has {len(strategy.symbols)} entries: it takes 1 to {SYMBOLS_MAX}")
    problems += [
        f"symbols has {symbol!r}: a symbol is letters, digits and . / _ -, at most 32"
        for symbol in strategy.symbols
        if re.fullmatch(SYMBOL_PATTERN, symbol) is None
    ]
    if len(set(strategy.symbols)) < len(strategy.symbols):
        problems.append("symbols names one twice: give each once")
    if strategy.risk_mode not in set(Mode):
        problems.append(f"riskMode is {strategy.risk_mode!r}: it takes {', '.join(Mode)}")
    if abs(strategy.priority) > PRIORITY_MAX:
        problems.append(
            f"priority is {strategy.priority}: it takes -{PRIORITY_MAX} to {PRIORITY_MAX}"
        )
    problems += [
        f"parameters.{name} is {value}: it takes a finite number"
        for name, value in strategy.parameters.items()
        if isinstance(value, Decimal) and not value.is_finite()
    ]
    if problems:
        raise Invalid(problems)


def standing(strategy: Strategy) -> tuple[int, str]:
    """By this the strategies of a cycle are sorted: the higher priority first, then the name."""
    return -strategy.priority, strategy.external_id


def _acts_on(strategy: Strategy) -> tuple[object, ...]:
    """What makes a version: with what, on what, and whether in earnest."""
    return strategy.type, strategy.symbols, dict(strategy.parameters), strategy.mode


def _changed(before: Strategy, after: Strategy, now: datetime) -> Strategy:
    if after == before:
        return before
    return replace(after, updated_at=now, version=before.version + 1)
