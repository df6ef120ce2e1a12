"""The files of a run in its state directory, by name: for those who look for them from outside."""

from __future__ import annotations

from typing import Final

CLOCK_FILE: Final = "market-clock"
"""The shared mapping of market time."""
STORE_FILE: Final = "paper.sqlite3"
"""Books, decisions and outbox; its presence says that a replay was played here."""
