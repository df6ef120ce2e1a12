"""Decimal arithmetic with named rounding. Nothing here ever sees a binary fraction."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)
CENT = Decimal("0.01")
HUNDRED = Decimal(100)
PRICE_MAX = Decimal("1e9")
"""Greater than any price or quantity that is meant; what lies beyond is a fault of the sender."""
AMOUNT_MAX = Decimal("1e15")
"""The same for the money on an account."""
DECIMALS_MAX = 40
"""More than an average of our own precision (28 digits) has."""


def is_usable(value: Decimal | None, limit: Decimal = PRICE_MAX) -> bool:
    """Whether `value` is a finite number above zero and below `limit`."""
    return value is not None and value.is_finite() and ZERO < value < limit


def is_sane(value: Decimal, limit: Decimal = PRICE_MAX) -> bool:
    """Whether `value` is finite, below `limit` in size, with at most `DECIMALS_MAX` decimals."""
    if not value.is_finite() or abs(value) >= limit:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -DECIMALS_MAX


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` that is not above `value`; `step` > 0, `value` >= 0."""
    assert step > ZERO, step
    assert value >= ZERO, value
    return (value / step).quantize(Decimal(1), ROUND_DOWN) * step


def to_cents(value: Decimal) -> Decimal:
    """Rounded half to even to 0.01: for people's eyes, never for booking."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


def percent_of(percent: Decimal, value: Decimal) -> Decimal:
    """`percent` per cent of `value`."""
    return value * percent / HUNDRED
