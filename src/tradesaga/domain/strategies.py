"""A strategy: which symbols it watches, and how its decision maker is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.money import ZERO


class StrategyStatus(StrEnum):
    """The values of the API."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`external_id` is the name under which the neighbours know it."""

    id: StrategyId
    agent_id: AgentId
    external_id: str
    name: str
    type: str
    symbols: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    status: StrategyStatus = StrategyStatus.ACTIVE
    risk_mode: str = "normal"
    parameters: Mapping[str, str | int | Decimal | bool] = field(default_factory=dict)
    priority: int = 0
    last_run_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """From our own trades: realised profit and loss, closed trades, share of winners 0..1."""

    pnl: Decimal = ZERO
    trades: int = 0
    win_rate: Decimal = ZERO
