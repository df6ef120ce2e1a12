"""A decision service that says how it is."""

from __future__ import annotations

from tradesaga.ports.services import Health


class ScriptedDecisions:
    """A decision service that says how it is; implements `ports.services.DecisionService`."""

    def __init__(self, state: Health = Health.HEALTHY) -> None:
        self.state = state

    async def health(self) -> Health:
        """`state`."""
        return self.state
