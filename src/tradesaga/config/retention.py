"""How long ended rows stay in the working tables before they are archived.

Ages are in the time of the clock: market time in a replay. 0 keeps a kind where it is.
"""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from typing_extensions import override

from tradesaga.config.section import DAY, HOUR, INTERVAL, Section, key, ms
from tradesaga.config.values import Unfit, milliseconds

KEPT: Final = milliseconds(0, 3650 * DAY)
KEPT_MIN: Final = timedelta(hours=1)
"""What is younger is still being talked about: a shorter time is a mistake in the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention(Section):
    """The ages, and how often the tables are looked after."""

    interval: timedelta = key(INTERVAL, HOUR)
    sagas: timedelta = key(KEPT, 30 * DAY)
    cycles: timedelta = key(KEPT, 30 * DAY)
    inbox: timedelta = key(KEPT, 30 * DAY)
    dead_letters: timedelta = key(KEPT, 90 * DAY)
    relay_marks: timedelta = key(KEPT, 7 * DAY)
    repeats: timedelta = key(KEPT, 2 * DAY)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        for name, kept in (
            ("sagas", self.sagas),
            ("cycles", self.cycles),
            ("inbox", self.inbox),
            ("deadLetters", self.dead_letters),
            ("relayMarks", self.relay_marks),
            ("repeats", self.repeats),
        ):
            if timedelta(0) < kept < KEPT_MIN:
                what = f"{ms(kept)} is shorter than an hour"
                yield Unfit(what, f"write 0 for ever, or at least {ms(KEPT_MIN)}", name)
