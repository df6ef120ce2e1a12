"""Enters STALE_DATA: a quote that is older within the session than the limit of the mode allows.

Age counts from the session's open: a closed market makes no quote stale. Analyses show what they
have read; the heartbeat reads again what was stale, so that a reason can end between two analyses.
Many symbols at once are one reason for all: then it is the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from structlog import get_logger

from tradesaga.domain.errors import Transient
from tradesaga.domain.ladder import EVERYWHERE, Cause, Reason, Scope, ScopeKind
from tradesaga.domain.market import Quote
from tradesaga.domain.risk import Limits
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.market_gate import MarketGate
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import MarketData

log = get_logger()
SYMBOLS_MAX: Final = 20
"""More stale symbols than that are one reason for all."""


class QuoteWatch:
    """Of one agent; `limits` answers with those in force, `cadence` is the feed's."""

    def __init__(
        self,
        *,
        ladder: LadderState,
        market: MarketGate,
        market_data: MarketData,
        clock: Clock,
        limits: Callable[[], Limits],
        cadence: timedelta,
    ) -> None:
        self._ladder = ladder
        self._market = market
        self._market_data = market_data
        self._clock = clock
        self._limits = limits
        self._cadence = cadence
        self._stale: dict[str, str] = {}

    def saw(self, symbols: Sequence[str], quotes: Mapping[str, Quote]) -> None:
        """These symbols were asked for, and that is what came."""
        now, limit = self._clock.now(), self._limits().quote_age_max + self._cadence
        session = self._market.calendar.regular_at(now)
        since = None if session is None else session.open
        expected = self._in_session(now)
        for symbol in symbols:
            why = _problem(symbol, quotes.get(symbol), now, limit, since) if expected else ""
            if why:
                self._stale[symbol] = why
            else:
                self._stale.pop(symbol, None)
        self._tell(symbols)

    async def check(self) -> None:
        """The heartbeat: look again at what was stale; no answer of the service is no news."""
        standing = {r.scope.subject for r in self._standing() if r.scope != EVERYWHERE}
        symbols = sorted(standing | set(self._stale))
        quotes: Mapping[str, Quote] = {}
        if symbols and self._in_session(self._clock.now()):
            try:
                quotes = await self._market_data.quotes(symbols)
            except Transient as error:
                log.warning("stale quotes are not read again", error=str(error))
                return
        self.saw(symbols, quotes)

    def _tell(self, symbols: Sequence[str]) -> None:
        if len(self._stale) > SYMBOLS_MAX:
            some = ", ".join(sorted(self._stale)[:3])
            why = f"the quotes of {len(self._stale)} symbols are stale, {some} and others"
            self._ladder.enter(Cause.STALE_DATA, why)
            return
        self._ladder.absent(Cause.STALE_DATA)
        standing = {r.scope.subject for r in self._standing()}
        for symbol in symbols:
            if symbol not in self._stale and symbol not in standing:
                continue
            scope = Scope(ScopeKind.SYMBOL, symbol)
            self._ladder.observe(Cause.STALE_DATA, self._stale.get(symbol, ""), scope=scope)

    def _standing(self) -> Sequence[Reason]:
        return [r for r in self._ladder.ladder.reasons if r.cause is Cause.STALE_DATA]

    def _in_session(self, now: datetime) -> bool:
        """Whether quotes are to be expected now."""
        return not self._market.hours_only or self._market.is_open(now)


def _problem(
    symbol: str, quote: Quote | None, now: datetime, limit: timedelta, opened: datetime | None
) -> str:
    """Why the symbol's quote is stale; empty when it is not."""
    since = opened if quote is None else quote.at
    if since is None:
        return f"there is no quote of {symbol}"
    since = since if opened is None else max(since, opened)
    if now - since <= limit:
        return ""
    return f"no quote of {symbol} since {since.isoformat()}, at most {limit} old"
