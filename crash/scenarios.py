"""The scenario axes: what the venue and the bus do, and how the sagas may end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.saga import SagaStatus as S

QUANTITY, PRICE = Decimal(10), Decimal("33.33")  # a price that no float holds
PARTLY = Decimal(4)
SYMBOLS = ("AAA", "BBB", "CCC")
MANY = (*SYMBOLS, "DDD", "EEE", "FFF", "GGG", "HHH")
STALE_SYMBOL = "OLD"
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One combination of the axes, the same for every symbol.

    `filled` at the venue; `lost` answers to the first submit of an order, after the act, or so
    many that `fail` before it, or to the first request of every kind when it is `throttled`;
    `retries` are allowed. `hidden` is how long look-ups miss an accepted order, `lag` what the
    venue promises of that; a venue that does not look up by client id shows orders by their traits,
    and `twin` puts another one like each of ours into its books. `events` says whether the bus
    tells of orders, `reply_after` (real seconds) that it does before the submit is answered,
    `in_reply` that the reply tells of fills. Decisions come once, `duplicate`, once more after
    `again_after` (real seconds), or with a `stale` one among them. `contested`: a second hand that
    has missed the news writes on every saga as well. `ends` are the ends that a saga may have.
    """

    name: str
    ends: frozenset[SagaStatus]
    symbols: tuple[str, ...] = SYMBOLS
    filled: Decimal = QUANTITY
    refused: bool = False
    fill_beats_cancel: bool = False
    lost: bool = False
    fails: int = 0
    throttled: bool = False
    retries: int = 20
    hidden: timedelta = timedelta(0)
    lag: timedelta = SECOND
    dedupes: bool = True
    looks_up: bool = True
    twin: bool = False
    duplicate: bool = False
    again_after: float = 0.0
    stale: bool = False
    contested: bool = False
    events: bool = True
    reply_after: float = 0.0
    in_reply: bool = True
    publish_fails: bool = False


FULL = frozenset({S.COMPLETED})
PARTIAL = frozenset({S.COMPLETED_PARTIAL})
NOTHING = frozenset({S.COMPENSATED})
EITHER = FULL | NOTHING
PARKED = frozenset({S.MANUAL_REQUIRED, S.COMPENSATED})
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
        Scenario(name="fails_before", ends=FULL, fails=1),
        Scenario(
            name="late", ends=FULL, lost=True, hidden=30 * SECOND, lag=40 * SECOND, events=False
        ),
        Scenario(
            name="later_than_promised", ends=FULL, lost=True, hidden=30 * SECOND, events=False
        ),
        Scenario(name="no_dedupe", ends=EITHER, dedupes=False),
        Scenario(
            name="no_dedupe_late", ends=EITHER, lost=True, hidden=30 * SECOND, lag=40 * SECOND,
            dedupes=False, events=False,
        ),
        Scenario(name="no_dedupe_fails", ends=NOTHING, fails=1, dedupes=False),
        Scenario(name="decision_twice", ends=FULL, duplicate=True),
        Scenario(name="told_first", ends=FULL, reply_after=0.005),
        Scenario(name="told_later", ends=FULL, in_reply=False),
        Scenario(name="partial_no_events", ends=PARTIAL, filled=PARTLY, events=False),
        Scenario(name="bus_fails", ends=FULL, publish_fails=True),
        Scenario(name="slow_reply", ends=FULL, reply_after=0.06),
        Scenario(name="throttled", ends=PARTIAL, throttled=True, filled=PARTLY),
        Scenario(
            name="always_fails", ends=NOTHING, fails=100, retries=2, filled=Decimal(0),
            lag=SECOND / 2,
        ),
        Scenario(name="stale_decision", ends=FULL, stale=True, duplicate=True),
        Scenario(name="eight_contested", ends=FULL, symbols=MANY, contested=True),
        Scenario(name="no_look_up", ends=EITHER, looks_up=False, dedupes=False, events=False),
        Scenario(
            name="ambiguous", ends=PARKED, looks_up=False, dedupes=False, events=False,
            lost=True, twin=True, again_after=0.25,
        ),
    )
}  # fmt: skip
