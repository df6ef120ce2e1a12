"""One of the neighbours as its health tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tradesaga.paper.faults import FaultBook


class Service:
    """Who a server is, and how it is."""

    def __init__(
        self, name: str, faults: FaultBook, checks: Mapping[str, Callable[[], bool]]
    ) -> None:
        self.name = name
        self.faults = faults
        self._checks = checks
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> int:
        """Whole seconds since this process started the service."""
        return int(time.monotonic() - self._started)

    def checks(self) -> dict[str, bool]:
        """What the service depends on, and whether it is there."""
        return {name: check() for name, check in self._checks.items()}

    @property
    def status(self) -> str:
        """Healthy or degraded: it answers, but something it depends on is away."""
        return "healthy" if all(self.checks().values()) else "degraded"
