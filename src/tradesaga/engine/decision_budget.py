"""The money for decisions: set aside before the question, settled with the answer, per day.

What is set aside counts at once and is a row of the commit that asks, so that a crash between
question and answer forgets no cost. Beyond the day's limit nobody is asked about what is not held;
about what is held always, since an exit must not wait for the next day. Without prices all of
this is nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from tradesaga.domain.decision_cost import DecisionCharge, Price
from tradesaga.domain.ids import AgentId, CycleId, derived
from tradesaga.domain.market import Calendar
from tradesaga.domain.money import ZERO
from tradesaga.domain.risk import Limits
from tradesaga.engine.decision_requests import Question
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Insert
from tradesaga.ports.records import Records

DAYS_KEPT: Final = 2
"""A question of yesterday may be settled today."""


class DecisionBudget:
    """Of one agent."""

    def __init__(
        self,
        *,
        price: Price,
        records: Records,
        clock: Clock,
        calendar: Calendar,
        agent_id: AgentId,
    ) -> None:
        self.price = price
        self._records = records
        self._clock = clock
        self._calendar = calendar
        self._agent_id = agent_id
        self._days: dict[date, Decimal] | None = None
        self._set_aside: dict[CycleId, tuple[date, int]] = {}

    async def load(self) -> None:
        """Read what the day has cost. Raises Unavailable."""
        if not self.price.is_free:
            today = self._calendar.day_of(self._clock.now())
            spent = await self._records.decision_costs(self._agent_id, today)
            self._days = {today: spent}

    def spent(self, now: datetime) -> Decimal | None:
        """What the day of `now` has cost so far, what is set aside too; None before `load`."""
        if self._days is None:
            return None
        return self._days.get(self._calendar.day_of(now), ZERO)

    def affordable(
        self, questions: Sequence[Question], held: Container[str], now: datetime, limits: Limits
    ) -> Sequence[Question]:
        """Those for whom there is money, in their order; those about what is held in any case."""
        if self.price.is_free:
            return questions
        spent, limit = self.spent(now), limits.decision_budget
        room = ZERO if spent is None else limit - spent
        room -= self.price.decision * sum(1 for q in questions if q.symbol in held)
        found = []
        for question in questions:
            if question.symbol not in held:
                room -= self.price.decision
                if not room >= ZERO or spent is None or spent >= limit:
                    continue
            found.append(question)
        return found

    def set_aside(self, cycle_id: CycleId, number: int, now: datetime) -> Sequence[Insert]:
        """The price of so many questions of a cycle, for the commit that asks them."""
        if self.price.is_free or not number:
            return ()
        day = self._calendar.day_of(now)
        self._set_aside[cycle_id] = day, number
        charge = DecisionCharge(
            id=derived(cycle_id, "decisions asked"),
            agent_id=self._agent_id,
            day=day,
            charged_at=now,
            amount=self.price.decision * number,
            decisions=number,
        )
        self._count(charge)
        return (Insert(charge),)

    def settle(
        self, cycle_id: CycleId, questions: Sequence[Question], now: datetime
    ) -> Sequence[Insert]:
        """What the answers of a cycle really cost, beside what was set aside for them."""
        answers = [q.answer.proposal for q in questions if q.answer is not None]
        if self.price.is_free or not answers:
            return ()
        day, asked = self._set_aside.pop(cycle_id, (self._calendar.day_of(now), 0))
        real = sum((self.price.of(answer) for answer in answers), ZERO)
        foreseen = self.price.decision * min(asked, len(answers))
        charge = DecisionCharge(
            id=derived(cycle_id, "decisions settled"),
            agent_id=self._agent_id,
            day=day,
            charged_at=now,
            amount=real - foreseen,
            decisions=len(answers) - min(asked, len(answers)),
            prompt_tokens=sum(answer.prompt_tokens or 0 for answer in answers),
            completion_tokens=sum(answer.completion_tokens or 0 for answer in answers),
        )
        self._count(charge)
        return (Insert(charge),)

    def _count(self, charge: DecisionCharge) -> None:
        days: Mapping[date, Decimal] = self._days or {}
        counted = {**days, charge.day: days.get(charge.day, ZERO) + charge.amount}
        self._days = dict(sorted(counted.items())[-DAYS_KEPT:])
