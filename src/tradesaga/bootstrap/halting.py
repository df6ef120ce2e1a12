"""Leaving the kill switch's mark without a running orchestrator."""

from __future__ import annotations

from pathlib import Path

from tradesaga.adapters.halt_files import mark
from tradesaga.domain.ladder import EVERYWHERE, Scope, ScopeKind


def leave_mark(
    directory: Path, *, strategy: str | None, symbol: str | None, reason: str
) -> Path | None:
    """Halt everything, or one strategy or symbol; where the mark is, None when it cannot be left.

    A strategy must be given by its id: nobody knows its other name here. One that is no id halts
    everything.
    """
    scope = EVERYWHERE
    if symbol is not None:
        scope = Scope(ScopeKind.SYMBOL, symbol)
    elif strategy is not None and _is_id(strategy):
        scope = Scope(ScopeKind.STRATEGY, strategy)
    return mark(directory, scope, {"reason": reason, "who": "command line"})


def _is_id(strategy: str) -> bool:
    return len(strategy) == 36 and strategy.count("-") == 4
