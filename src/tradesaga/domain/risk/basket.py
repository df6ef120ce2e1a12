"""A basket judged as one: the rules on size and funds, on the portfolio that would result of it.

Sells first: the entries are judged as if every sell of the basket had filled, and each of them as
if all the others had. So the order in which they are sent does not decide who finds room. Whoever
sends them still has each judged by every rule, as it stands then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from tradesaga.domain.decisions import Action, Denial
from tradesaga.domain.money import ZERO
from tradesaga.domain.risk.situation import Candidate, Situation
from tradesaga.domain.risk.size_rules import cost_to_reserve
from tradesaga.domain.risk.table import RULES, judge

OF_BASKET: Final = frozenset(rule.code for rule in RULES if 10 <= rule.number <= 16)


def basket_denials(basket: Sequence[Situation]) -> tuple[Denial, ...]:
    """What rules 10 to 16 say of the portfolio that all of `basket` makes; empty allows.

    Each situation is one leg on the book as it stands: they share it.
    """
    legs = [situation.candidate for situation in basket]
    after = _positions_after(basket[0].book.positions, legs) if basket else {}
    sold = [s for s in basket if s.candidate.action is Action.SELL]
    bought = [s for s in basket if s.candidate.action is Action.BUY]
    proceeds = sum((s.notional for s in sold), ZERO)
    cost = sum((cost_to_reserve(s) for s in bought), ZERO)
    found = []
    for one in bought:
        before = {**after, one.candidate.symbol: after[one.candidate.symbol] - one.signed}
        funds = one.book.buying_power + proceeds - (cost - cost_to_reserve(one))
        book = replace(one.book, positions=before, buying_power=funds)
        said = judge(replace(one, book=book)).denials
        found += [denial for denial in said if denial.code in OF_BASKET]
    return tuple(found)


def _positions_after(
    positions: Mapping[str, Decimal], legs: Sequence[Candidate]
) -> dict[str, Decimal]:
    after = dict(positions)
    for leg in legs:
        signed = leg.quantity if leg.action is Action.BUY else -leg.quantity
        after[leg.symbol] = after.get(leg.symbol, ZERO) + signed
    return after
