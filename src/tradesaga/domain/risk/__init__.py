"""The pre-trade risk gate: every rule runs, every verdict is kept with its figures.

Fail closed: a missing input denies an entry, a rule that cannot be applied denies, and a comparison
is written so that a value which is not a number denies too ("allowed only if value <= limit"). An
exit reduces a position that we hold, never past zero; it bypasses the limits that exist to keep
risk small, since refusing it would keep risk large. Percentages are of equity. No strategy and no
model can override a rule. The rules are pure functions in `state_rules`, `size_rules` and
`pace_rules`; `table` has them in their order.
"""

from tradesaga.domain.risk.basket import basket_denials
from tradesaga.domain.risk.limits import (
    BOUNDS,
    Changes,
    Limits,
    Margin,
    contradictions,
    on_the_wire,
    raised,
    stricter,
    with_changes,
)
from tradesaga.domain.risk.situation import (
    Approval,
    Book,
    Candidate,
    Conditions,
    Pace,
    Situation,
)
from tradesaga.domain.risk.size_rules import cost_to_reserve, order_budget
from tradesaga.domain.risk.table import RULES, Rule, codes, denials, is_opening, judge
from tradesaga.domain.risk.verdicts import Finding, Judgement, Outcome, RuleVerdict

__all__ = [
    "BOUNDS",
    "RULES",
    "Approval",
    "Book",
    "Candidate",
    "Changes",
    "Conditions",
    "Finding",
    "Judgement",
    "Limits",
    "Margin",
    "Outcome",
    "Pace",
    "Rule",
    "RuleVerdict",
    "Situation",
    "basket_denials",
    "codes",
    "contradictions",
    "cost_to_reserve",
    "denials",
    "is_opening",
    "judge",
    "on_the_wire",
    "order_budget",
    "raised",
    "stricter",
    "with_changes",
]
