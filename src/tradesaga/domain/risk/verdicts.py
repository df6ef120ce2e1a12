"""What a rule says: whether it lets the order pass, what it measured, and what would pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from tradesaga.domain.decisions import Denial

Value = Decimal | int | str | timedelta | datetime | None
TEXT_MAX: Final = 200
"""Characters of one value or sentence that are stored."""


class Outcome(StrEnum):
    """BYPASSED: it would deny, but the order is an exit. OFF: nobody feeds the rule here."""

    PASSED = "passed"
    DENIED = "denied"
    BYPASSED = "bypassed"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule on one order. `because` and `passes` are empty when it passes."""

    passed: bool
    value: Value = None
    limit: Value = None
    because: str = ""
    passes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """A finding under the rule's code, and what came of it for this order."""

    code: str
    outcome: Outcome
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What every rule said, in their order, and the figures that they looked at."""

    verdicts: tuple[RuleVerdict, ...]
    inputs: Mapping[str, Value]

    @property
    def denials(self) -> tuple[Denial, ...]:
        """All rules that say no; empty means allowed."""
        return tuple(
            Denial(code=verdict.code, message=verdict.finding.because)
            for verdict in self.verdicts
            if verdict.outcome is Outcome.DENIED
        )

    def stored(self) -> dict[str, Any]:
        """As it is kept with the decision: texts, each of bounded length.

        {"inputs": {name: text}, "rules": {code: [outcome, value, limit, because, passes]}} with
        the last ones left out where they are empty.
        """
        return {
            "inputs": {name: text_of(value) for name, value in self.inputs.items()},
            "rules": {verdict.code: _row(verdict) for verdict in self.verdicts},
        }


def _row(verdict: RuleVerdict) -> list[str]:
    finding = verdict.finding
    row = [
        str(verdict.outcome),
        text_of(finding.value),
        text_of(finding.limit),
        finding.because[:TEXT_MAX],
        finding.passes[:TEXT_MAX],
    ]
    while not row[-1]:
        row.pop()
    return row


def text_of(value: Value) -> str:
    """A value as people read it: plain digits, seconds, ISO times; empty for None."""
    match value:
        case None:
            return ""
        case Decimal():
            return digits(value)
        case timedelta():
            return f"{digits(Decimal(value // timedelta(microseconds=1)) / 1_000_000)} s"
        case datetime():
            return value.isoformat()
        case _:
            return str(value)[:TEXT_MAX]


def digits(value: Decimal) -> str:
    """Without exponent and without zeros at the end; at most 30 digits."""
    if not value.is_finite() or not -20 < value.adjusted() < 20:
        return str(value)[:30]
    text = f"{value:.9f}"
    return text.rstrip("0").rstrip(".") or "0"
