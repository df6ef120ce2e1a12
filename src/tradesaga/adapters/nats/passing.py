"""What passes on the platform's subjects and has no effect here, so that a person's tail knows it.

Each form holds what both dialects of the platform tell.
"""

from __future__ import annotations

from tradesaga.adapters.nats.heard import Payload, Symbol


class PositionChange(Payload, frozen=True, kw_only=True):
    """A position of the venue's books; ours follow from fills alone."""

    symbol: Symbol


class QuoteTold(Payload, frozen=True, kw_only=True):
    """A quote that somebody asked market-data for; we ask for our own."""

    symbol: Symbol


PASSING: dict[str, type[Payload]] = {
    "trade.position.opened": PositionChange,
    "trade.position.updated": PositionChange,
    "trade.position.closed": PositionChange,
    "market.quote.received": QuoteTold,
}
