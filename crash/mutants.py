"""The zoo: believable mistakes, each planted in every life of a run, each caught by a schedule.

A mutant replaces functions of the product inside the forked process; nobody takes that back, since
the process ends. It names the scenario that shows it, and the seams at which the life must be
disturbed; no labels means that the undisturbed life shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crash import command_mutants as command
from crash import engine_mutants as engine
from crash import saga_mutants as saga
from crash.actions import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mistake. `plant` makes the process wrong."""

    plant: Callable[[], None]
    scenario: str
    labels: tuple[str, ...] = ()
    action: Action = Action.KILL


COMMITTED = ("journal.commit.done",)
SENT = ("venue.submit.sent",)

MUTANTS = {
    "the specification's saga, literally": Mutant(
        plant=engine.literal, scenario="full", labels=SENT
    ),
    "no answer = refused": Mutant(plant=saga.no_answer_is_refused, scenario="answer_lost"),
    "5xx = rejected": Mutant(plant=engine.unavailable_is_refused, scenario="answer_lost"),
    "422 duplicate = failure": Mutant(
        plant=engine.duplicate_is_refused, scenario="later_than_promised"
    ),
    "not found = rejected": Mutant(plant=saga.not_found_is_rejected, scenario="late"),
    "absent after two reads": Mutant(plant=saga.lag_ignored, scenario="no_dedupe_late"),
    "fresh id on retry": Mutant(plant=saga.fresh_id_on_retry, scenario="fails_before"),
    "resend without query": Mutant(plant=saga.resend_without_query, scenario="no_dedupe_late"),
    "resend where the venue does not dedupe": Mutant(
        plant=saga.resend_without_dedupe, scenario="no_dedupe_fails"
    ),
    "a crash forgets the send": Mutant(
        plant=saga.crash_forgets_the_send, scenario="no_dedupe", labels=SENT
    ),
    "a crash means not sent": Mutant(
        # No event tells of the order later, which would mend it.
        plant=saga.crash_means_not_sent, scenario="late", labels=SENT
    ),
    "cancel request = cancelled": Mutant(
        plant=saga.cancel_asked_is_cancelled, scenario="fill_beats_cancel"
    ),
    "found cancelled = success": Mutant(plant=saga.empty_is_success, scenario="refused"),
    "a wish to cancel ends an unknown order": Mutant(
        plant=saga.wish_is_end, scenario="late", labels=("venue.look_up.before",),
        action=Action.STOP,
    ),
    "back past a live order": Mutant(plant=saga.back_past_live, scenario="no_fill"),
    "release while a cancel is pending": Mutant(
        plant=saga.release_while_cancelling, scenario="no_fill", labels=("venue.cancel.before",)
    ),
    "never release": Mutant(plant=saga.never_release, scenario="full"),
    "fill after a cancel dropped": Mutant(
        plant=saga.fill_after_cancel_dropped, scenario="fill_beats_cancel"
    ),
    "cumulative added, not set": Mutant(plant=saga.cumulative_added, scenario="partial"),
    "trade forgotten": Mutant(plant=saga.trade_forgotten, scenario="full"),
    "versions stand still": Mutant(plant=saga.version_stands_still, scenario="full"),
    "the fill wait never ends": Mutant(plant=saga.time_decides_nothing, scenario="no_fill"),
    "release in a commit of its own": Mutant(
        plant=engine.release_apart, scenario="full", labels=COMMITTED
    ),
    "position in a commit of its own": Mutant(
        plant=engine.position_apart, scenario="full", labels=COMMITTED
    ),
    "trade in a commit of its own": Mutant(
        plant=engine.trade_apart, scenario="full", labels=COMMITTED
    ),
    "outbox in a second transaction": Mutant(
        plant=engine.events_apart, scenario="full", labels=COMMITTED
    ),
    "send before the intent is committed": Mutant(
        plant=engine.send_before_intent, scenario="full", labels=SENT
    ),
    "caller woken before COMMIT": Mutant(
        plant=engine.woken_before_commit, scenario="full", labels=("statement.before", *SENT)
    ),
    "COMMIT error = blind retry": Mutant(
        plant=engine.blind_retry, scenario="full", labels=("statement.committed",),
        action=Action.CUT,
    ),
    "acknowledged before the commit": Mutant(
        plant=engine.acknowledged_first, scenario="full", labels=("journal.commit.before",)
    ),
    "decisions deduplicated in memory": Mutant(
        plant=engine.decisions_in_memory, scenario="decision_twice",
        labels=("delivery.ack.before",),
    ),
    "order events deduplicated in memory": Mutant(
        plant=engine.order_events_in_memory, scenario="full"
    ),
    "fill before the reply dropped": Mutant(plant=engine.early_fill_dropped, scenario="told_first"),
    "marked before it is published": Mutant(
        plant=engine.marked_first, scenario="full", labels=("bus.publish.before",)
    ),
    "fresh message id on each publish": Mutant(plant=engine.fresh_message_id, scenario="full"),
    "recovery forgets sagas": Mutant(
        plant=engine.sagas_forgotten, scenario="partial_no_events", labels=SENT
    ),
    "recovery forgets cycles": Mutant(plant=engine.cycles_forgotten, scenario="full", labels=SENT),
    "no epoch in the condition": Mutant(
        plant=command.epoch_not_compared, scenario="full", labels=("statement.before",),
        action=Action.FREEZE,
    ),
    "fence without lock": Mutant(
        plant=command.fence_without_lock, scenario="full", labels=("statement.before",),
        action=Action.FREEZE,
    ),
    "no lease check before the send": Mutant(
        plant=command.lease_not_asked, scenario="full", labels=COMMITTED, action=Action.FREEZE
    ),
    "lease not asked when the first byte goes": Mutant(
        plant=command.lease_not_asked_at_last, scenario="no_dedupe",
        labels=("venue.submit.before",), action=Action.FREEZE,
    ),
    "local deadline on a clock that stops": Mutant(
        plant=command.deadline_stands_still, scenario="full", labels=COMMITTED,
        action=Action.FREEZE,
    ),
    "one Conflict fails its batch": Mutant(
        plant=command.conflict_spreads, scenario="eight_contested"
    ),
    "no version in the condition": Mutant(
        plant=command.version_not_compared, scenario="eight_contested"
    ),
    "dedupe by window": Mutant(plant=command.inbox_by_window, scenario="decision_twice"),
    "attempt counters in memory": Mutant(
        plant=command.counters_in_memory, scenario="always_fails",
        labels=("venue.submit.answered",),
    ),
    "float cash": Mutant(plant=command.float_cash, scenario="full"),
    "ambiguous = absent": Mutant(plant=command.ambiguous_is_absent, scenario="ambiguous"),
    "timed pause in memory": Mutant(
        plant=command.pause_in_memory, scenario="full", labels=("delivery.received",),
        action=Action.PAUSE,
    ),
    "a restart starts a stopped agent": Mutant(
        plant=command.restart_starts, scenario="full", labels=("journal.commit.before",),
        action=Action.STOP,
    ),
    "a restart re-arms after the kill switch": Mutant(
        plant=command.restart_rearms, scenario="full", labels=("delivery.received",),
        action=Action.HALT,
    ),
    "CancelledError swallowed": Mutant(plant=command.cancellation_swallowed, scenario="full"),
    "nobody asks whether the agent was stopped": Mutant(
        plant=engine.stop_not_asked, scenario="full", labels=("journal.commit.before",),
        action=Action.STOP,
    ),
}  # fmt: skip
