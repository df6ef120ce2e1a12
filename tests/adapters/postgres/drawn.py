"""Stored values drawn at random by hypothesis: every field, in all that its type allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from tests.adapters.postgres.values import AGENT
from tradesaga.domain.agent import Agent, AgentStatus, Mode
from tradesaga.domain.cycle import Cycle, CycleError, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.orders import (
    Order,
    OrderStatus,
    OrderType,
    Reservation,
    ReservationState,
    Side,
)
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.strategies import Strategy, StrategyStatus

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
AMOUNT = st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=None)
POSITIVE = st.decimals(min_value="0.000000001", max_value=10**9, allow_nan=False)
SHARE = st.decimals(min_value=0, max_value=1, allow_nan=False)
COUNT = st.integers(0, 2**31 - 1)
ZONE = st.sampled_from(
    [UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=45))]
)
FIRST, LAST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 -- hypothesis adds the zone
TIME = st.datetimes(FIRST, LAST, timezones=ZONE)
MAYBE_TIME = st.none() | TIME
UUIDS = st.uuids()
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)
WHOLE = st.integers(-(2**53), 2**53)
METADATA = st.dictionaries(TEXT, TEXT | WHOLE | NUMBER | st.none(), max_size=4)
PARAMETERS = st.dictionaries(TEXT, TEXT | WHOLE | NUMBER | st.booleans(), max_size=4)

AGENTS = st.builds(
    Agent,
    id=UUIDS,
    name=TEXT,
    updated_at=TIME,
    status=st.sampled_from(AgentStatus),
    mode=st.sampled_from(Mode),
    pause_reasons=st.frozensets(TEXT, max_size=3),
    started_at=MAYBE_TIME,
    stopped_at=MAYBE_TIME,
    paused_at=MAYBE_TIME,
    resume_at=MAYBE_TIME,
    last_error=st.none() | TEXT,
    last_error_at=MAYBE_TIME,
)
STRATEGIES = st.builds(
    Strategy,
    id=UUIDS,
    agent_id=st.just(AGENT),
    external_id=UUIDS.map(str),
    name=TEXT,
    type=TEXT,
    symbols=st.lists(TEXT, max_size=3).map(tuple),
    created_at=TIME,
    updated_at=TIME,
    status=st.sampled_from(StrategyStatus),
    risk_mode=TEXT,
    parameters=PARAMETERS,
    priority=st.integers(-(2**31), 2**31 - 1),
    last_run_at=MAYBE_TIME,
)
CYCLES = st.builds(
    Cycle,
    id=UUIDS,
    agent_id=st.just(AGENT),
    type=st.sampled_from(CycleType),
    triggered_by=st.sampled_from(TriggeredBy),
    scheduled_at=TIME,
    started_at=TIME,
    epoch=COUNT,
    status=st.sampled_from(CycleStatus),
    cursor=COUNT,
    completed_at=st.none(),
    strategies_processed=COUNT,
    decisions_generated=COUNT,
    orders_submitted=COUNT,
    orders_filled=COUNT,
    errors=st.lists(
        st.builds(CycleError, strategy_id=st.none() | TEXT, error=TEXT), max_size=2
    ).map(tuple),
    metadata=METADATA,
)
DECISIONS = st.builds(
    Decision,
    id=UUIDS,
    external_id=TEXT,
    agent_id=st.just(AGENT),
    cycle_id=UUIDS,
    strategy_id=st.none() | UUIDS,
    symbol=TEXT,
    action=st.sampled_from(Action),
    confidence=SHARE,
    quantity=AMOUNT,
    reference_price=AMOUNT,
    reasoning=TEXT,
    model=TEXT,
    as_of=TIME,
    expires_at=TIME,
    created_at=TIME,
    verdict=st.sampled_from(Verdict),
    opening=st.booleans(),
    denials=st.lists(st.builds(Denial, code=TEXT, message=TEXT), max_size=2).map(tuple),
)
SAGAS = st.builds(
    Saga,
    id=UUIDS,
    agent_id=st.just(AGENT),
    type=TEXT,
    decision_id=UUIDS,
    strategy_id=st.none() | UUIDS,
    cycle_id=st.none() | UUIDS,
    symbol=TEXT,
    created_at=TIME,
    updated_at=TIME,
    deadline_at=TIME,
    status=st.sampled_from(SagaStatus),
    cursor=COUNT,
    attempt=COUNT,
    due=MAYBE_TIME,
    pivoted=st.booleans(),
    partial=st.booleans(),
    reason=TEXT,
)
ORDERS = st.builds(
    Order,
    id=UUIDS,
    agent_id=st.just(AGENT),
    saga_id=UUIDS,
    decision_id=UUIDS,
    strategy_id=st.none() | UUIDS,
    cycle_id=st.none() | UUIDS,
    leg=COUNT,
    purpose=TEXT,
    client_order_id=UUIDS.map(str),
    symbol=TEXT,
    side=st.sampled_from(Side),
    quantity=POSITIVE,
    type=st.sampled_from(OrderType),
    limit_price=st.none() | POSITIVE,
    time_in_force=TEXT,
    opening=st.booleans(),
    reference_price=AMOUNT,
    expires_at=TIME,
    created_at=TIME,
    status=st.sampled_from(OrderStatus),
    venue_order_id=st.none() | UUIDS.map(str),
    filled_quantity=AMOUNT,
    filled_value=NUMBER,
    fees=NUMBER,
    sends=COUNT,
    lookups=COUNT,
    unknown_since=MAYBE_TIME,
    cancel_wanted_at=MAYBE_TIME,
    cancel_requested_at=MAYBE_TIME,
    submitted_at=MAYBE_TIME,
    acked_at=MAYBE_TIME,
    ended_at=MAYBE_TIME,
    evidence=st.none() | TEXT,
)
RESERVATIONS = st.builds(
    Reservation,
    id=UUIDS,
    agent_id=st.just(AGENT),
    saga_id=UUIDS,
    symbol=TEXT,
    amount=AMOUNT,
    created_at=TIME,
    consumed=NUMBER,
    released=AMOUNT,
    state=st.sampled_from(ReservationState),
    closed_at=MAYBE_TIME,
)
