"""The five steps of a trade, whoever wants it, and the pace of its look-ups.

step                    action                        compensation
0 reserve_buying_power  set the cost aside            release_buying_power
1 submit_order          send under a derived id       cancel_order: request, then the verdict
2 wait_for_fill (pivot) follow to an end              handle_partial_fill: cancel the rest
3 update_position       position = sum of fills       rollback_position: reasoned adjustment
4 record_trade          one trade a fill              void_trade: a correcting row
"""

from __future__ import annotations

from datetime import timedelta

from tradesaga.domain.saga import Plan, Step

RESERVE, SUBMIT, WAIT, UPDATE, RECORD = range(5)
PLAN = Plan(
    type="trade_execution",
    steps=(
        Step(action="reserve_buying_power", compensation="release_buying_power"),
        Step(action="submit_order", compensation="cancel_order"),
        Step(action="wait_for_fill", compensation="handle_partial_fill"),
        Step(action="update_position", compensation="rollback_position"),
        Step(action="record_trade", compensation="void_trade"),
    ),
    pivot=WAIT,
)
LOOKUP_DELAYS = tuple(timedelta(milliseconds=ms) for ms in (500, 1000, 2000, 4000, 8000))
"""Waits before the look-ups of an unknown order; afterwards every five seconds."""
LOOKUP_DELAY_LAST = timedelta(seconds=5)


def lookup_delay(lookups: int) -> timedelta:
    """How long to wait after so many look-ups."""
    return LOOKUP_DELAYS[lookups] if lookups < len(LOOKUP_DELAYS) else LOOKUP_DELAY_LAST
