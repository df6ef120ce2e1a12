"""How often a neighbour is asked at most; without a rate as often as there is reason to."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from tradesaga.config.section import DELAY, Section, key
from tradesaga.config.values import Unfit, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit(Section):
    """A bucket of `burst` tokens; `reserve` of them are for what reduces risk."""

    per_minute: int = key(whole(0, 1_000_000), 0)
    burst: int = key(whole(1, 1_000_000), 10)
    reserve: int = key(whole(0, 1_000_000), 2)
    wait_max: timedelta = key(DELAY, 2000)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.reserve >= self.burst:
            what = f"{self.reserve} leaves nothing of burst for entries"
            yield Unfit(what, f"write at most {self.burst - 1}, or raise burst", "reserve")
