"""The breaker of one service, for all of its clients.

It refuses before anything is sent, which is certain. What must never wait for it passes it by: a
cancel, an exit, the look-up of an order. Those find out, too: their success closes it.
"""

from __future__ import annotations

from collections.abc import Callable

from structlog import get_logger

from tradesaga.domain.circuit import USUAL, CircuitBreaker, CircuitFigures, CircuitState
from tradesaga.domain.errors import Throttled

log = get_logger(__name__)

Told = Callable[[str, CircuitState], None]
"""Called with the service and the state that it has passed into."""


class Circuit:
    """One service's; `told` hears of every change."""

    def __init__(
        self,
        name: str,
        *,
        monotonic: Callable[[], float],
        told: Told,
        figures: CircuitFigures = USUAL,
    ) -> None:
        self._name = name
        self._monotonic = monotonic
        self._told = told
        self._breaker = CircuitBreaker(figures)
        self._last = CircuitState.CLOSED
        told(name, self._last)

    @property
    def is_closed(self) -> bool:
        """Whether the service is asked as usual."""
        return self._breaker.state(self._monotonic()) is CircuitState.CLOSED

    def permit(self) -> None:
        """Return when a request may go. Raises Throttled when it may not."""
        allowed = self._breaker.allows(self._monotonic())
        self._tell()
        if not allowed:
            raise Throttled(
                f"{self._name} is not asked: it has failed too often, its breaker is open"
            )

    def succeeded(self) -> None:
        """A usable answer came."""
        self._breaker.succeeded()
        self._tell()

    def failed(self) -> None:
        """None came."""
        self._breaker.failed(self._monotonic())
        self._tell()

    def seems_well(self) -> None:
        """Its health is good: the next request may find out."""
        self._breaker.seems_well(self._monotonic())
        self._tell()

    def _tell(self) -> None:
        state = self._breaker.state(self._monotonic())
        if state is not self._last:
            self._last = state
            log.warning("breaker", service=self._name, state=state)
            self._told(self._name, state)
