"""The scenario axes: what the venue and the bus do, and how the sagas may end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.saga import SagaStatus as S

QUANTITY, PRICE = Decimal(10), Decimal(100)
PARTLY = Decimal(4)
SYMBOLS = ("AAA", "BBB", "CCC")
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One combination of the axes, the same for every symbol.

    `filled` at the venue; `lost` answers to the first submit of an order, after the act, or
    `failing` ones before it; `hidden` is how long look-ups miss an accepted order, `lag` what the
    venue promises of that. `events` says whether the bus tells of orders, `told_first` that it
    does before the submit is answered, `in_reply` that the reply tells of fills.
    `ends` are the ends that a saga may have.
    """

    name: str
    ends: frozenset[SagaStatus]
    filled: Decimal = QUANTITY
    refused: bool = False
    fill_beats_cancel: bool = False
    lost: bool = False
    failing: bool = False
    hidden: timedelta = timedelta(0)
    lag: timedelta = SECOND
    dedupes: bool = True
    duplicate_decision: bool = False
    events: bool = True
    told_first: bool = False
    in_reply: bool = True
    publish_fails: bool = False


FULL = frozenset({S.COMPLETED})
PARTIAL = frozenset({S.COMPLETED_PARTIAL})
NOTHING = frozenset({S.COMPENSATED})
EITHER = FULL | NOTHING
"""Where the venue would take an id twice, an intent that a crash left unsent is not sent again."""

SCENARIOS = {
    one.name: one
    for one in (
        Scenario(name="full", ends=FULL),
        Scenario(name="partial", ends=PARTIAL, filled=PARTLY),
        Scenario(name="no_fill", ends=NOTHING, filled=Decimal(0)),
        Scenario(name="refused", ends=NOTHING, filled=Decimal(0), refused=True),
        Scenario(
            name="fill_beats_cancel", ends=FULL, filled=Decimal(0), fill_beats_cancel=True,
            events=False,
        ),
        Scenario(name="answer_lost", ends=FULL, lost=True),
        Scenario(name="fails_before", ends=FULL, failing=True),
        Scenario(
            name="late", ends=FULL, lost=True, hidden=12 * SECOND, lag=15 * SECOND, events=False
        ),
        Scenario(
            name="later_than_promised", ends=FULL, lost=True, hidden=12 * SECOND, events=False
        ),
        Scenario(name="no_dedupe", ends=EITHER, dedupes=False),
        Scenario(
            name="no_dedupe_late", ends=EITHER, lost=True, hidden=12 * SECOND, lag=15 * SECOND,
            dedupes=False, events=False,
        ),
        Scenario(name="no_dedupe_fails", ends=NOTHING, failing=True, dedupes=False),
        Scenario(name="decision_twice", ends=FULL, duplicate_decision=True),
        Scenario(name="told_first", ends=FULL, told_first=True),
        Scenario(name="told_later", ends=FULL, in_reply=False),
        Scenario(name="partial_no_events", ends=PARTIAL, filled=PARTLY, events=False),
        Scenario(name="bus_fails", ends=FULL, publish_fails=True),
    )
}  # fmt: skip
