"""How much of the store an answer shows: enough to tell whether it has a change in it or not.

A reader may see what was written before the writer hears that it was. Two stores give the same
answer in other objects; what they agree in is how many there are, at which versions, and how much
was bought and sold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

PARTS: Final = ("saga", "order", "strategy", "cycle", "checkpoint", "decision")
AMOUNTS: Final = ("version", "quantity", "bought_quantity", "sold_quantity")


def seen(answer: Any) -> str:
    """In a few characters."""
    if answer is None or isinstance(answer, bool):
        return str(answer)
    if isinstance(answer, Mapping):
        answer = tuple(answer.values())
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return f"{len(answer)} {_plain(sum(map(_amount, answer), Decimal()))}"
    return _plain(_amount(answer))


def _amount(one: Any) -> Decimal:
    if isinstance(one, Decimal | int):
        return Decimal(one)
    found = sum((Decimal(getattr(one, name, 0) or 0) for name in AMOUNTS), Decimal())
    for name in PARTS:
        part = getattr(one, name, None)
        if part is not None:
            found += _amount(part)
    return found


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
