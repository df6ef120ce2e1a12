"""What an operator can do about strategies: the third driving port behind API and CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tradesaga.domain.as_read import AsRead
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.strategies import Edit, ParameterValue, StrategyMode
from tradesaga.ports.records import StrategyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStrategy:
    """What a strategy is made of; its name is also the one under which the neighbours know it."""

    name: str
    type: str
    symbols: Sequence[str]
    risk_mode: str = "normal"
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    priority: int = 0
    active: bool = False
    mode: StrategyMode = StrategyMode.LIVE


class StrategyOperations(Protocol):
    """Every command is idempotent, durable and audited under `actor` before the call returns.

    A strategy is named by its id or its external id. All raise NotFound for one that is not there,
    and Unavailable when the database is away or another node holds the agent; with `as_read` Stale
    when it is at another version.
    """

    async def strategy(self, name: str) -> StrategyRecord:
        """One strategy with its figures."""
        ...

    async def create(self, new: NewStrategy, *, actor: str) -> StrategyRecord:
        """Make a strategy, stopped unless it is to be active.

        Raises:
            Invalid: a field cannot be so, or the name is taken, also by a deleted one.
        """
        ...

    async def update(
        self, name: str, edit: Edit, *, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        """Change it; its next cycle goes by the new settings. Raises Invalid."""
        ...

    async def activate(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyRecord:
        """Let it act from the next cycle on."""
        ...

    async def deactivate(
        self, name: str, *, close_positions: bool, actor: str, as_read: AsRead = None
    ) -> StrategyRecord:
        """Let it decide nothing more; with `close_positions` what it holds is closed by sagas.

        The call does not wait for the fills; the strategy's detail tells how far it is.
        """
        ...

    async def delete(self, name: str, *, actor: str, as_read: AsRead = None) -> StrategyId:
        """Take it off the list. Raises IllegalTransition while it acts or holds something."""
        ...
