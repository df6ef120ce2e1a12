"""What must always hold, I1 to I20: what to do about a break, and which of them are about money.

A name is its number and a word, `I4_positions`. When one of the money invariants is broken the
books can no longer be trusted and the agent must not go on by itself; the others are alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MONEY: Final = frozenset({"I1", "I4", "I5", "I6", "I7", "I12"})
"""Numbers whose break stops the agent."""
_BOOKS: Final = "stop the agent; compare fills, orders and the venue's statement before anything"
_OPEN: Final = "look at the saga and its log entries; is the orchestrator running?"
_TAMPERED: Final = "stop the agent; somebody wrote past the journal: compare with a backup"

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "I1": "stop the agent; cancel or close at the venue what was ordered twice",
        "I2": "find out who placed it: by hand, another program, or a lost intent",
        "I3": "ask the venue what became of the order",
        "I4": _BOOKS,
        "I5": _BOOKS,
        "I6": "stop the agent; compare the reservations with the open orders at the venue",
        "I7": _BOOKS,
        "I8": _TAMPERED,
        "I9": _OPEN,
        "I10": "a stale process has written: see who holds the lease, end the other",
        "I11": "is NATS up, and does the relay run? events wait in the outbox and are not lost",
        "I12": _TAMPERED,
        "I13": "see the decision's denials; limits that were lowered since make old orders show",
        "I14": "see which process sent it, and that only one runs",
        "I15": "see which processes run cycles, and that only one does",
        "I16": "see the times of the order; a calendar that was changed since makes old ones show",
        "I17": "compare the clocks of this machine, the database and the venue",
        "I18": _OPEN,
        "I19": "figures for people only; the rows are right",
        "I20": "restart the orchestrator; if it stays, restore the row from the log",
    }
)


def number_of(name: str) -> str:
    """`I4` of `I4_positions`."""
    return name.partition("_")[0]


def is_money(name: str) -> bool:
    """Whether a break of it means that the books cannot be trusted."""
    return number_of(name) in MONEY


def remedy_of(name: str) -> str:
    """What to do about a break."""
    return REMEDIES[number_of(name)]
