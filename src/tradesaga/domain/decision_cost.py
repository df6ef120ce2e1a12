"""What decisions cost: the price of one, and the ledger of a day.

A question is charged before it is asked, with the price of one decision; the answer settles it by
the tokens that it names. A question without an answer stays charged: the model may have run. The
ledger is only added to, so cycles at the same time cannot lose each other's charges.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.ids import AgentId
from tradesaga.domain.money import ZERO

MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of one decision, and of a million tokens in and out, in the account's currency."""

    decision: Decimal = ZERO
    prompt_million: Decimal = ZERO
    completion_million: Decimal = ZERO

    @property
    def is_free(self) -> bool:
        """Whether nothing costs anything: there is no budget to watch then."""
        return self == FREE

    def of(self, answer: Proposal) -> Decimal:
        """By the tokens that it names; the price of a decision where it names none."""
        prompt, completion = answer.prompt_tokens, answer.completion_tokens
        if (prompt is None and completion is None) or not self._per_token:
            return self.decision
        tokens = self.prompt_million * (prompt or 0) + self.completion_million * (completion or 0)
        return tokens / MILLION

    @property
    def _per_token(self) -> bool:
        return self.prompt_million > ZERO or self.completion_million > ZERO


FREE: Final = Price()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCharge:
    """One line of the ledger; below zero where answers cost less than was set aside for them.

    `day` is the market's date under which it counts, `decisions` how many it is for.
    """

    id: UUID
    agent_id: AgentId
    day: date
    charged_at: datetime
    amount: Decimal
    decisions: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
