"""What the simulated neighbours are, in so far as the orchestrator must be told."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

VISIBILITY_LAG_MS: Final = 2000
"""The simulated venue shows an order as soon as it has it."""
START_CASH: Final = Decimal(100_000)
"""Dollars that the simulated account begins with."""
