"""Rules on the agent, the venue and the clock: may this order be sent now, and by us?"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tradesaga.domain.decisions import Action
from tradesaga.domain.market import SessionKind
from tradesaga.domain.money import HUNDRED, ZERO
from tradesaga.domain.risk.situation import Approval, Situation
from tradesaga.domain.risk.verdicts import Finding, Value, digits

STOPS_PAUSE = timedelta(hours=4)


def at_most(value: Decimal | int, limit: Decimal | int, what: str) -> Finding:
    """Passed only if `value` <= `limit`, which no number that is none fulfils."""
    if value <= limit:
        return Finding(True, value, limit)
    shown, most = (n if isinstance(n, int) else digits(n) for n in (value, limit))
    return Finding(False, value, limit, f"{what}: {shown}, at most {most}", f"{most} or less")


def missing(what: str, limit: Value = None) -> Finding:
    """An input that is not there: an entry is denied."""
    return Finding(False, None, limit, f"{what} is not known", f"{what} must be known")


def ladder(s: Situation) -> Finding:
    """The rung in force allows the order; unreadable is the lowest."""
    seen = s.conditions
    if seen.rung is None:
        return missing("the rung of the degradation ladder")
    refused = seen.exits_refused if s.is_exit else seen.entries_refused
    if not refused:
        return Finding(True, seen.rung)
    return Finding(False, seen.rung, None, refused, "the reasons must end")


def stale_epoch(s: Situation) -> Finding:
    """What was decided under an epoch that is over is not sent; the commit checks it again."""
    decided, held = s.conditions.epoch_decided, s.conditions.epoch_held
    if decided is None or held is None:
        return missing("the epoch of the lease", held)
    if decided == held:
        return Finding(True, decided, held)
    return Finding(
        False, decided, held, f"decided under epoch {decided}, now {held}", "decide anew"
    )


def tradable(s: Situation) -> Finding:
    """On the approved list (an exit need not be), and not halted."""
    symbol = s.candidate.symbol
    if symbol in s.conditions.halted_symbols:
        return Finding(False, symbol, None, f"{symbol} is halted", "the halt must end")
    if s.is_exit or symbol in s.tradable:
        return Finding(True, symbol)
    because = f"{symbol} is not on the approved list"
    return Finding(False, symbol, None, because, "a symbol that an active strategy watches")


def short_allowed(s: Situation) -> Finding:
    """A sale opens no short position unless that is allowed."""
    if s.candidate.action is Action.BUY or s.is_exit or s.limits.allow_short:
        return Finding(True, s.held)
    because = f"a sell of {s.candidate.symbol} with {s.held} held would open a short position"
    return Finding(False, s.held, None, because, "allowShort, or a buy")


def market_open(s: Situation) -> Finding:
    """Market orders go out in the regular session only, and not when an event closed it."""
    if s.closed_by_event:
        because = "the market-data service says that the market is closed"
        return Finding(False, "closed", "regular", because, "its word that it is open")
    if not s.hours_only:
        return Finding(True, "any", "any")
    kind = s.calendar.kind_at(s.now)
    if kind is SessionKind.REGULAR:
        return Finding(True, kind, "regular")
    opens = s.calendar.next_open(s.now)
    because = f"session is {kind}; orders need the regular one"
    passes = "" if opens is None else f"from {opens.isoformat()}"
    return Finding(False, kind, "regular", because, passes or "a known session")


def before_cutoff(s: Situation) -> Finding:
    """No entry just before the regular session ends."""
    closes = s.calendar.closes_at(s.now) if s.hours_only else None
    if closes is None:
        return Finding(True, None, s.limits.entry_cutoff)
    last = closes - s.limits.entry_cutoff
    if s.now < last:
        return Finding(True, s.now, last)
    because = f"no entries in the last {s.limits.entry_cutoff} of the session"
    return Finding(False, s.now, last, because, f"before {last.isoformat()}")


def decision_fresh(s: Situation) -> Finding:
    """The decision is young enough."""
    age, limit = s.now - s.candidate.as_of, s.limits.decision_age_max
    if age <= limit:
        return Finding(True, age, limit)
    return Finding(False, age, limit, f"decided {age} ago, at most {limit}", "a newer decision")


def quote_fresh(s: Situation) -> Finding:
    """The quote is young enough for the cadence of its feed, and not of a time to come."""
    limit = s.limits.quote_age_max + s.cadence
    if s.candidate.quote is None:
        return missing(f"a quote of {s.candidate.symbol}", limit)
    age = s.now - s.candidate.quote.at
    if age > limit:
        because = f"quote is {age} old, at most {limit}"
        return Finding(False, age, limit, because, "a newer quote")
    if -age > s.limits.clock_skew_max:
        because = f"quote is of {-age} from now: the feed's clock is wrong"
        return Finding(False, age, limit, because, "a quote of now")
    return Finding(True, age, limit)


def price_drift(s: Situation) -> Finding:
    """The price has not moved too far since the decision."""
    reference, limit = s.candidate.reference_price, s.limits.price_drift_percent
    if reference is None or not reference > ZERO:
        return missing("a usable reference price of the decision", limit)
    drift = abs(s.price - reference) * HUNDRED / reference
    if drift <= limit:
        return Finding(True, drift, limit)
    because = f"price moved {drift:.3f} % since the decision, at most {limit} %"
    return Finding(False, drift, limit, because, _around(reference, limit))


def price_collar(s: Situation) -> Finding:
    """The price that the order would take is near the middle of bid and ask."""
    limit = s.limits.price_collar_percent
    middle = None if s.candidate.quote is None else s.candidate.quote.middle
    if middle is None or not middle > ZERO:
        return missing(f"the middle of bid and ask of {s.candidate.symbol}", limit)
    off = abs(s.price - middle) * HUNDRED / middle
    if off <= limit:
        return Finding(True, off, limit)
    because = f"price {s.price} is {off:.3f} % off the middle {middle}, at most {limit} %"
    return Finding(False, off, limit, because, _around(middle, limit))


def _around(price: Decimal, percent: Decimal) -> str:
    width = price * percent / HUNDRED
    return f"a price from {digits(price - width)} to {digits(price + width)}"


def account_usable(s: Situation) -> Finding:
    """The venue lets the account trade."""
    if not s.book.blocked:
        return Finding(True, "open")
    return Finding(
        False, "blocked", None, "the venue has blocked the account", "the block must end"
    )


def symbol_free(s: Situation) -> Finding:
    """No order of unknown outcome, parked saga or quarantine on the symbol."""
    symbol = s.candidate.symbol
    if symbol not in s.book.locked_symbols:
        return Finding(True, symbol)
    because = f"{symbol} is locked: an order of unknown outcome, a parked saga, or a quarantine"
    return Finding(False, symbol, None, because, "settle it: `tradesaga positions locks` says why")


def clock_skew(s: Situation) -> Finding:
    """Our clock agrees with the venue's."""
    skew, limit = s.conditions.clock_skew, s.limits.clock_skew_max
    if skew is None:
        return missing("the difference to the venue's clock", limit)
    if abs(skew) <= limit:
        return Finding(True, skew, limit)
    return Finding(False, skew, limit, f"clocks differ by {skew}, at most {limit}", "set the clock")


def confident(s: Situation) -> Finding:
    """The decision maker is sure enough."""
    confidence, limit = s.candidate.confidence, s.limits.confidence_min
    if confidence is not None and limit <= confidence <= 1:
        return Finding(True, confidence, limit)
    because = f"confidence {confidence} is not between {limit} and 1"
    return Finding(False, confidence, limit, because, f"a confidence from {limit} to 1")


def approved(s: Situation) -> Finding:
    """In the modes that need one, a named operator has approved exactly this order."""
    approval = s.conditions.approval
    if approval is None:
        return missing("whether the order needs an approval")
    if approval is not Approval.MISSING:
        return Finding(True, approval)
    return Finding(False, approval, None, "an operator has not approved it", "an approval")
