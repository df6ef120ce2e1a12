"""What the trade saga asks of the world, and what can happen to it: the words of `trade_saga`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.busts import voided
from tradesaga.domain.orders import Fill, Order, Reservation, Trade, VenueReport, Void
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.saga import Saga, Transition
from tradesaga.domain.values import quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times and capabilities the saga decides by.

    `visibility_lag`: how long the venue may hide an accepted order. `dedupes`: it refuses a
    client order id that it has seen, for `dedupe_ttl` (None: for ever) since the first sending.
    Only then is the same id ever sent again. `looks_up`: it can be asked about an order of unknown
    outcome; else a person decides. `cancel_on_disconnect`: it cancels what works when it loses us.
    """

    saga_time_max: timedelta
    fill_time_max: timedelta
    retry: RetryPolicy
    visibility_lag: timedelta
    dedupes: bool
    dedupe_ttl: timedelta | None = None
    looks_up: bool = True
    cancel_on_disconnect: bool = False
    poll_every: timedelta = timedelta(seconds=5)

    @property
    def cancel_time_max(self) -> timedelta:
        """From the wish to cancel until a person is asked: the wait for a verdict, each try."""
        return self.fill_time_max * (1 + self.retry.retries_max)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class TradeState:
    """All that one trade saga owns."""

    saga: Saga
    order: Order
    reservation: Reservation
    voids: tuple[Void, ...] = ()

    @property
    def versions(self) -> tuple[int, int, int]:
        """Of saga, order and reservation: what differs from before has another one."""
        return self.saga.version, self.order.version, self.reservation.version

    @property
    def remaining(self) -> Decimal:
        """What the venue may still fill while the order lives; a voided part is not filled anew."""
        return self.order.remaining - voided(self.voids)


# ---- what to ask of the world -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the order under its client order id."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find out what the venue knows of the order, at `at` or later."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Follow:
    """Wait for news of the order; poll at `poll_at`; tell `TimeUp` at `until`."""

    poll_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class RequestCancel:
    """Ask the venue to cancel, at `at` or later; the verdict comes as a report."""

    at: datetime


Command = Submit | LookUp | Follow | RequestCancel


# ---- what can happen ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The venue said something about the order."""

    report: VenueReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRefused:
    """The venue refused the submission in so many words; `evidence` is kept."""

    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """A request was sent and nobody knows what came of it; `to_cancel`: it asked for the cancel."""

    reason: str
    to_cancel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """A look-up did not find the order: no proof of absence by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """A look-up found several orders that could be ours: a person must decide."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """The cancel request was taken, or refused because nothing is left to cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeUp:
    """The wait that `Follow` named is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A new process took the saga over: an intent may have been sent by the old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWanted:
    """An operator or the stop command wants the order gone."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A person says: try again, the way it was going."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedBack:
    """A person says: take it back, as long as nothing is filled."""

    reason: str


class Resolution(StrEnum):
    """What a person found out about an order."""

    NOT_PLACED = "not_placed"  # the venue never took it
    CANCELED = "canceled"  # it fills no more; what filled stays
    ADOPT = "adopt"  # it is the one that the venue knows under an id


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A person states what became of the order; never that it filled: only the venue says that.

    `venue_order_id` belongs to ADOPT. `by` and `reason` are kept as evidence.
    """

    resolution: Resolution
    reason: str
    by: str
    venue_order_id: str | None = None


Intervention = Resumed | TurnedBack | Resolved
"""What a person can tell a saga that is parked."""

Happening = (
    Reported
    | SubmitRefused
    | NoAnswer
    | NotFound
    | Ambiguous
    | CancelAsked
    | TimeUp
    | Recovered
    | CancelWanted
    | Intervention
)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The new state, and the rows and transitions that are committed with it."""

    state: TradeState
    transitions: tuple[Transition, ...] = ()
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    voids: tuple[Void, ...] = ()
