"""Token buckets by key: so many requests at once, so many a second in the long run.

The number of keys is bounded: a key that was not heard of for longest is forgotten, which gives it
a full bucket again, and costs an attacker with many addresses nothing that he could not have had.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEYS_MAX: Final = 4096


class Rate:
    """`per_second` in the long run, `burst` at once, for each key apart."""

    def __init__(self, *, per_second: float, burst: float, keys_max: int = KEYS_MAX) -> None:
        self._per_second = per_second
        self._burst = burst
        self._keys_max = keys_max
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def is_spent(self, key: str, now: float) -> bool:
        """Whether `take` would have to wait; nothing is taken."""
        left, at = self._left.get(key, (self._burst, now))
        return left + (now - at) * self._per_second < 1

    def take(self, key: str, now: float) -> float:
        """Take one; seconds until there is one again, 0 when it was had. `now` is monotonic."""
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[key] = (left - 1 if wait == 0 else left, now)
        if len(self._left) > self._keys_max:
            self._left.popitem(last=False)
        return wait
