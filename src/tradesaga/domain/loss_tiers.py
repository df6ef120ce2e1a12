"""Loss tiers: the day's loss from the session's first equity, the drawdown from the stored peak.

    measure     from                              tiers, in percent of it
    daily loss  equity when the session began     NO_ENTRIES until the next one, HALTED
    drawdown    the highest equity ever seen      yellow NO_ENTRIES, orange REDUCE_ONLY, red HALTED

Equity is the venue's: realised and marked to market. No neighbour tells of transfers, so a
withdrawal counts as a loss; re-arming begins both measures anew from the equity of that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Cause
from tradesaga.domain.money import AMOUNT_MAX, HUNDRED, ZERO, is_usable


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimits:
    """Percentages at which each tier is entered."""

    daily_no_entries: Decimal
    daily_halt: Decimal
    drawdown_yellow: Decimal
    drawdown_orange: Decimal
    drawdown_red: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarks:
    """What losses are measured from; stored, `version` counts the commits of the row.

    `session_at` is when the session began whose first equity `session_equity` is.
    """

    id: AgentId
    agent_id: AgentId
    session_at: datetime
    session_equity: Decimal
    peak_equity: Decimal
    updated_at: datetime
    version: int = 1


TIERS: Final = (
    Cause.DAILY_LOSS,
    Cause.DAILY_LOSS_HALT,
    Cause.DRAWDOWN_YELLOW,
    Cause.DRAWDOWN_ORANGE,
    Cause.DRAWDOWN_RED,
)


def first_marks(
    agent_id: AgentId, equity: Decimal, session_at: datetime, now: datetime
) -> EquityMarks:
    """The marks of an agent whose equity is seen for the first time, or is counted anew from now.

    A new version of stored marks keeps their version, see `anew`.
    """
    return EquityMarks(
        id=agent_id,
        agent_id=agent_id,
        session_at=session_at,
        session_equity=equity,
        peak_equity=equity,
        updated_at=now,
    )


def anew(marks: EquityMarks, equity: Decimal, now: datetime) -> EquityMarks:
    """Both measures begin at `equity`: an operator has re-armed after a loss."""
    return replace(
        marks,
        session_equity=equity,
        peak_equity=equity,
        updated_at=now,
        version=marks.version + 1,
    )


def seen(
    marks: EquityMarks, equity: Decimal, session_at: datetime | None, now: datetime
) -> EquityMarks:
    """The marks after `equity` was seen in the session that began at `session_at`; None: in none.

    An equity that is no usable number changes nothing.
    """
    if not is_usable(equity, AMOUNT_MAX):
        return marks
    after = marks
    if session_at is not None and session_at > marks.session_at:
        after = replace(after, session_at=session_at, session_equity=equity)
    if equity > marks.peak_equity:
        after = replace(after, peak_equity=equity)
    return marks if after == marks else replace(after, updated_at=now, version=marks.version + 1)


def daily_loss_percent(marks: EquityMarks, equity: Decimal) -> Decimal:
    """Of the session's first equity; negative for a gain."""
    return (marks.session_equity - equity) * HUNDRED / marks.session_equity


def drawdown_percent(marks: EquityMarks, equity: Decimal) -> Decimal:
    """Of the peak; never negative."""
    return max(ZERO, (marks.peak_equity - equity) * HUNDRED / marks.peak_equity)


def tiers(marks: EquityMarks, equity: Decimal, limits: LossLimits) -> dict[Cause, str]:
    """Every tier that the losses have reached, with its figures.

    The comparison is written so that an equity which is no number reaches every tier.
    """
    if not is_usable(equity, AMOUNT_MAX):
        return dict.fromkeys(TIERS, f"equity {equity} is no usable number")
    day, down = daily_loss_percent(marks, equity), drawdown_percent(marks, equity)
    measured = {
        Cause.DAILY_LOSS: (day, limits.daily_no_entries, "of the session's first equity lost"),
        Cause.DAILY_LOSS_HALT: (day, limits.daily_halt, "of the session's first equity lost"),
        Cause.DRAWDOWN_YELLOW: (down, limits.drawdown_yellow, "below the peak"),
        Cause.DRAWDOWN_ORANGE: (down, limits.drawdown_orange, "below the peak"),
        Cause.DRAWDOWN_RED: (down, limits.drawdown_red, "below the peak"),
    }
    return {
        cause: f"{loss:.2f} % {what}, the limit is {limit} %"
        for cause, (loss, limit, what) in measured.items()
        if loss >= limit
    }
