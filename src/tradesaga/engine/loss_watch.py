"""Enters the loss tiers: the day's loss, and the drawdown from the highest equity.

Equity is that of the account as an analysis reads it, so no request is made for it. What losses are
measured from is stored before it counts. Once a person has re-armed after a loss, both measures
begin anew from the next equity that is seen.

    tier             limit in force             by default (normal)
    daily, first     `dailyLossPercent`         3
    daily, halt      `dailyLossHaltPercent`     5
    yellow           `drawdownPercent`          7.5
    orange           `drawdownOrangePercent`    11.25
    red              `drawdownRedPercent`       15
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tradesaga.domain import loss_tiers
from tradesaga.domain.agent import Mode
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Cause, Reason
from tradesaga.domain.loss_tiers import EquityMarks, LossLimits
from tradesaga.domain.money import AMOUNT_MAX, is_usable
from tradesaga.domain.risk import Limits
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Update
from tradesaga.ports.records import Records

HALTS: Final = frozenset({Cause.DAILY_LOSS_HALT, Cause.DRAWDOWN_RED})


class LossWatch:
    """Measures the losses of one agent."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        market: MarketGate,
        state: AgentState,
        limits: LimitBook,
        ladder: LadderState,
        agent_id: AgentId,
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._market = market
        self._state = state
        self._limits = limits
        self._ladder = ladder
        self._agent_id = agent_id
        self._marks: EquityMarks | None = None
        self._anew = False
        self._turn = asyncio.Lock()

    @property
    def marks(self) -> EquityMarks | None:
        """What losses are measured from now; None before an equity was ever seen."""
        return self._marks

    async def load(self) -> None:
        """Read what is stored. Raises Unavailable."""
        self._marks = await self._records.equity_marks(self._agent_id)

    def rearmed(self, ended: Sequence[Reason]) -> None:
        """A person ended these reasons."""
        self._anew = self._anew or any(reason.cause in HALTS for reason in ended)

    async def saw(self, equity: Decimal) -> None:
        """Measure; an equity that is no usable number reaches every tier, as `domain` has it.

        Raises:
            Fenced, Unavailable: what it is measured from could not be read or written.
        """
        async with self._turn:
            await self._measure(equity)

    async def _measure(self, equity: Decimal) -> None:
        now = self._clock.now()
        session = self._market.calendar.regular_at(now)
        begins = None if session is None else session.open
        before = self._marks or await self._records.equity_marks(self._agent_id)
        if before is None:
            if not is_usable(equity, AMOUNT_MAX):
                return  # the rules deny by themselves what has no equity
            marks = loss_tiers.first_marks(self._agent_id, equity, begins or now, now)
        elif self._anew and is_usable(equity, AMOUNT_MAX):
            marks = loss_tiers.anew(before, equity, now)
        else:
            marks = loss_tiers.seen(before, equity, begins, now)
        if marks is not before:
            await self._write(marks)
        self._marks, self._anew = marks, False
        if before is not None and marks.session_at != before.session_at:
            self._ladder.session_began()
        reached = loss_tiers.tiers(marks, equity, self._loss_limits())
        for cause in loss_tiers.TIERS:
            self._ladder.observe(cause, reached.get(cause, ""))

    async def _write(self, marks: EquityMarks) -> None:
        row = Insert(marks) if marks.version == 1 else Update(marks)
        try:
            await self._scribe.fact((row,), (_said(marks),))
        except Conflict:
            self._marks = None  # read anew the next time
            raise

    def _loss_limits(self) -> LossLimits:
        mode = Mode(self._state.agent.mode)
        limits: Limits = self._limits.in_force(mode, None)
        return LossLimits(
            daily_no_entries=limits.daily_loss_percent,
            daily_halt=limits.daily_loss_halt_percent,
            drawdown_yellow=limits.drawdown_percent,
            drawdown_orange=limits.drawdown_orange_percent,
            drawdown_red=limits.drawdown_red_percent,
        )


def _said(marks: EquityMarks) -> Entry:
    body = {
        "sessionAt": marks.session_at,
        "sessionEquity": marks.session_equity,
        "peakEquity": marks.peak_equity,
    }
    return Entry(kind="equity.marked", subject=str(marks.agent_id), actor="engine", body=body)
