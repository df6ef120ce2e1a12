"""The ladder: every cause entered, what it denies, how it is left; scopes; the laws of the set."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import START
from tradesaga.domain import ladder as machine
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import (
    EVERYWHERE,
    RULES,
    Cause,
    Exit,
    Ladder,
    Purpose,
    Reason,
    Rung,
    Scope,
    ScopeKind,
    worst,
)

EMPTY = Ladder(id=DEFAULT_AGENT, agent_id=DEFAULT_AGENT, updated_at=START)
LATER = START + timedelta(minutes=1)
SPY = Scope(ScopeKind.SYMBOL, "SPY")
MOMENTUM = Scope(ScopeKind.STRATEGY, "momentum")

ALLOWED = {
    Rung.NORMAL: {Purpose.ENTRY, Purpose.EXIT, Purpose.OPERATOR_EXIT, Purpose.CANCEL},
    Rung.NO_ENTRIES: {Purpose.EXIT, Purpose.OPERATOR_EXIT, Purpose.CANCEL},
    Rung.REDUCE_ONLY: {Purpose.EXIT, Purpose.OPERATOR_EXIT, Purpose.CANCEL},
    Rung.HALTED: {Purpose.OPERATOR_EXIT, Purpose.CANCEL},
}
# cause: the rung it demands, what an acknowledgement leaves (None: it is refused), what ends it
TABLE: dict[Cause, tuple[Rung, Rung | None, Exit]] = {
    Cause.STALE_DATA: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.TRADING_ENGINE_DOWN: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.AI_DECISION_DOWN: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.MARKET_DATA_DOWN: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.EVENT_BUS_DOWN: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.DATABASE_SLOW: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.LEASE_STALL: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.CYCLE_FAILURES: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.DECISION_FAILURES: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.CLOCK_SKEW: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.CALENDAR_UNKNOWN: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.ENGINE_NOT_PARKED: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.DRIFT: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.CASH_DRIFT: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.FOREIGN_ORDER: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.ACKNOWLEDGED),
    Cause.STRAY_ORDER: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.ACKNOWLEDGED),
    Cause.REPEATED_EXECUTION: (Rung.NO_ENTRIES, Rung.NORMAL, Exit.RECOVERY),
    Cause.DAILY_LOSS: (Rung.NO_ENTRIES, None, Exit.SESSION),
    Cause.DRAWDOWN_YELLOW: (Rung.NO_ENTRIES, Rung.NO_ENTRIES, Exit.RECOVERY),
    Cause.DRAWDOWN_ORANGE: (Rung.REDUCE_ONLY, Rung.NO_ENTRIES, Exit.RECOVERY),
    Cause.OVERFILL: (Rung.REDUCE_ONLY, Rung.NORMAL, Exit.ACKNOWLEDGED),
    Cause.OPERATOR_REDUCE_ONLY: (Rung.REDUCE_ONLY, None, Exit.REARM),
    Cause.DAILY_LOSS_HALT: (Rung.HALTED, None, Exit.REARM),
    Cause.DRAWDOWN_RED: (Rung.HALTED, None, Exit.REARM),
    Cause.VENUE_FORGOT: (Rung.HALTED, None, Exit.REARM),
    Cause.BOOKS_IN_DOUBT: (Rung.HALTED, None, Exit.REARM),
    Cause.KILL_SWITCH: (Rung.HALTED, None, Exit.REARM),
    Cause.UNREADABLE: (Rung.HALTED, None, Exit.REARM),
}


def because(cause: Cause, scope: Scope = EVERYWHERE, at: datetime = START) -> Reason:
    return Reason(cause=cause, scope=scope, detail=f"of {cause}", since=at)


def absent(ladder: Ladder, cause: Cause, scope: Scope = EVERYWHERE, times: int = 1) -> Ladder:
    for _ in range(times):
        ladder = machine.check_absent(ladder, cause, scope, LATER)
    return ladder


@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("purpose", Purpose)
def test_what_a_rung_allows(rung: Rung, purpose: Purpose) -> None:
    assert rung.allows(purpose) is (purpose in ALLOWED[rung])


def test_the_tables_name_every_cause() -> None:
    assert set(TABLE) == set(Cause) == set(RULES)


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_is_entered_denies_and_is_left_by_its_own_exit_only(cause: Cause) -> None:
    demanded, when_acknowledged, way_out = TABLE[cause]
    ladder = machine.enter(EMPTY, because(cause))
    assert ladder.rung() is demanded
    for purpose in Purpose:
        refusal = ladder.refusal(purpose, "momentum", "SPY")
        assert bool(refusal) is (purpose not in ALLOWED[demanded])
        assert not refusal or cause in refusal

    # time, a new session and a re-arm end it exactly if they are its way out
    assert absent(ladder, cause).rung() is demanded
    gone = absent(ladder, cause, times=2)
    assert gone.rung() is (Rung.NORMAL if way_out is Exit.RECOVERY else demanded)
    next_day = machine.session_began(ladder, LATER)
    assert next_day.rung() is (Rung.NORMAL if way_out is Exit.SESSION else demanded)
    armed = machine.rearm(ladder, EVERYWHERE, "ann", "looked into it", LATER)
    assert armed.rung() is (Rung.NORMAL if way_out is Exit.REARM else demanded)

    if when_acknowledged is None:
        with pytest.raises(Invalid):
            machine.acknowledge(ladder, cause, EVERYWHERE, "ann", LATER)
    else:
        known = machine.acknowledge(ladder, cause, EVERYWHERE, "ann", LATER)
        assert known.rung() is when_acknowledged
        # while the cause goes on, a known reason is not entered anew
        again = machine.enter(known, because(cause, at=LATER))
        assert again.rung() is (demanded if way_out is Exit.ACKNOWLEDGED else when_acknowledged)


def test_a_cause_that_comes_back_is_counted_from_the_beginning() -> None:
    ladder = absent(machine.enter(EMPTY, because(Cause.CLOCK_SKEW)), Cause.CLOCK_SKEW)
    ladder = machine.enter(ladder, because(Cause.CLOCK_SKEW, at=LATER))
    assert absent(ladder, Cause.CLOCK_SKEW).rung() is Rung.NO_ENTRIES
    assert absent(ladder, Cause.CLOCK_SKEW, times=2).rung() is Rung.NORMAL


def test_a_reason_of_this_session_outlives_its_own_beginning() -> None:
    ladder = machine.enter(EMPTY, because(Cause.DAILY_LOSS))
    assert machine.session_began(ladder, START).rung() is Rung.NO_ENTRIES


@pytest.mark.parametrize(
    ("scope", "hit", "missed"),
    [
        (SPY, ("other", "SPY"), ("momentum", "QQQ")),
        (MOMENTUM, ("momentum", "QQQ"), ("other", "SPY")),
    ],
)
def test_a_scope_reaches_its_own_only(
    scope: Scope, hit: tuple[str, str], missed: tuple[str, str]
) -> None:
    ladder = machine.enter(EMPTY, because(Cause.KILL_SWITCH, scope))
    assert ladder.rung(*hit) is Rung.HALTED
    assert ladder.rung(*missed) is ladder.rung() is Rung.NORMAL
    assert ladder.refusal(Purpose.ENTRY, *missed) == ""
    # re-arming everywhere does not re-arm what was stopped by name, nor the reverse
    assert machine.rearm(ladder, EVERYWHERE, "ann", "why", LATER).rung(*hit) is Rung.HALTED
    everywhere = machine.enter(ladder, because(Cause.KILL_SWITCH))
    armed = machine.rearm(everywhere, scope, "ann", "why", LATER)
    assert armed.rung(*missed) is Rung.HALTED
    assert machine.rearm(ladder, scope, "ann", "why", LATER).rung(*hit) is Rung.NORMAL


@pytest.mark.parametrize(("operator", "reason"), [("", "why"), ("  ", "why"), ("ann", " ")])
def test_nobody_re_arms_without_a_name_and_a_reason(operator: str, reason: str) -> None:
    ladder = machine.enter(EMPTY, because(Cause.KILL_SWITCH))
    with pytest.raises(Invalid):
        machine.rearm(ladder, EVERYWHERE, operator, reason, LATER)


def test_nobody_acknowledges_without_a_name_or_what_does_not_stand() -> None:
    ladder = machine.enter(EMPTY, because(Cause.OVERFILL))
    with pytest.raises(Invalid, match="operator"):
        machine.acknowledge(ladder, Cause.OVERFILL, EVERYWHERE, " ", LATER)
    with pytest.raises(Invalid, match="does not stand"):
        machine.acknowledge(ladder, Cause.DRIFT, SPY, "ann", LATER)


def test_what_cannot_be_read_is_halted() -> None:
    ladder = machine.unreadable(DEFAULT_AGENT, "no JSON", START, version=4)
    assert ladder.rung("any", "SPY") is Rung.HALTED
    assert ladder.version == 4


def test_what_was_entered_and_left_is_told() -> None:
    ladder = machine.enter(EMPTY, because(Cause.KILL_SWITCH))
    assert machine.entered(EMPTY, ladder) == (because(Cause.KILL_SWITCH),)
    assert machine.left(ladder, EMPTY) == (because(Cause.KILL_SWITCH),)
    assert machine.entered(ladder, ladder) == machine.left(ladder, ladder) == ()


CAUSES, SCOPES = st.sampled_from(Cause), st.sampled_from([EVERYWHERE, SPY, MOMENTUM])
MACHINE_MADE = st.one_of(
    st.tuples(st.just("enter"), CAUSES, SCOPES),
    st.tuples(st.just("absent"), CAUSES, SCOPES),
    st.tuples(st.just("session"), CAUSES, SCOPES),
)


@given(st.lists(MACHINE_MADE, max_size=30), CAUSES, SCOPES)
def test_no_machine_ever_ends_what_needs_a_person(
    steps: list[tuple[str, Cause, Scope]], cause: Cause, scope: Scope
) -> None:
    """Whatever is observed after it, a halt stands, and the rung is the worst that stands."""
    ladder = machine.enter(EMPTY, because(cause, scope))
    for what, other, where in steps:
        if what == "enter":
            ladder = machine.enter(ladder, because(other, where))
        elif what == "absent":
            ladder = machine.check_absent(ladder, other, where, LATER)
        else:
            ladder = machine.session_began(ladder, LATER)
        keys = [r.key for r in ladder.reasons]
        assert len(keys) == len(set(keys))
        assert ladder.rung("momentum", "SPY") is worst(*(r.rung for r in ladder.reasons))
    if RULES[cause].exit in (Exit.REARM, Exit.ACKNOWLEDGED):
        assert ladder.standing(cause, scope) == because(cause, scope)
