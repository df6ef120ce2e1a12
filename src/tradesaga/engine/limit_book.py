"""The limits in force: as configured for the agent's mode, never wider than the strategy's mode."""

from __future__ import annotations

from collections.abc import Mapping

from tradesaga.domain.agent import Mode
from tradesaga.domain.risk import Limits, stricter


class LimitBook:
    """One profile per mode; a strategy's `riskMode` may only make them stricter."""

    def __init__(self, configured: Mapping[Mode, Limits]) -> None:
        self._configured = configured
        self._combined: dict[tuple[Mode, Mode], Limits] = {}

    def of_mode(self, mode: Mode) -> Limits:
        """The limits of a mode."""
        return self._configured[mode]

    def in_force(self, mode: Mode, risk_mode: str | None) -> Limits:
        """For a strategy's order; a `risk_mode` that is no mode is taken for the strictest."""
        if risk_mode is None or risk_mode == mode:
            return self.of_mode(mode)
        own = Mode(risk_mode) if risk_mode in Mode.__members__.values() else Mode.CONSERVATIVE
        if (mode, own) not in self._combined:
            self._combined[mode, own] = stricter(self.of_mode(mode), self.of_mode(own))
        return self._combined[mode, own]
