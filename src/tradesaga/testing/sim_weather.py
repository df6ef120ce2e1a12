"""What goes wrong in a simulated world, and how often: drawn once from the seed, then diced.

Every seed switches each kind of fault on or off by itself: a world in which all goes wrong at once
hides what one fault alone would show. `heal` ends all faults for good.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

DATABASE, BUS, VENUE = "database", "bus", "venue"
SEND_SECONDS_MAX = 4.0
"""No request arrives later than this after it was sent; callers give up after the same time."""
HIDDEN_SECONDS_MAX = 5.0
"""No accepted order stays hidden from look-ups for longer."""
CHANCES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "death": (0.0002, 0.002),
    "request_lost": (0.005, 0.1),
    "answer_lost": (0.005, 0.1),
    "slow": (0.005, 0.1),
    "commit_refused": (0.002, 0.05),
    "ack_lost": (0.01, 0.3),
    "repeated": (0.01, 0.3),
    "late_event": (0.01, 0.3),
    "event_lost": (0.01, 0.3),
    "unreadable": (0.001, 0.02),
    "venue_refuses": (0.01, 0.2),
    "venue_hides": (0.05, 0.8),
    "twin": (0.1, 0.9),
    "bust": (0.005, 0.1),
    "submit_unanswered": (0.02, 0.5),
    "cancel_ignored": (0.05, 0.5),
    "fill_beats_cancel": (0.05, 0.8),
    "no_decision": (0.01, 0.3),
    "odd_decision": (0.01, 0.3),
})  # fmt: skip
"""The lowest and the highest chance of each kind, where a seed has it at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """How one request and its answer travel; seconds."""

    there: float
    back: float
    time_max: float
    request_lost: bool = False
    answer_lost: bool = False

    @property
    def is_unanswered(self) -> bool:
        """Whether the caller gives up before an answer comes."""
        return self.request_lost or self.answer_lost or self.there + self.back > self.time_max


@dataclass(slots=True, kw_only=True)
class Weather:
    """The chances of one seed, each for one occasion of its kind."""

    rng: random.Random
    death: float = 0.0
    request_lost: float = 0.0
    answer_lost: float = 0.0
    slow: float = 0.0
    commit_refused: float = 0.0
    ack_lost: float = 0.0
    repeated: float = 0.0
    late_event: float = 0.0
    event_lost: float = 0.0
    unreadable: float = 0.0
    venue_refuses: float = 0.0
    venue_hides: float = 0.0
    twin: float = 0.0
    bust: float = 0.0
    submit_unanswered: float = 0.0
    cancel_ignored: float = 0.0
    fill_beats_cancel: float = 0.0
    no_decision: float = 0.0
    odd_decision: float = 0.0
    down: frozenset[str] = frozenset()
    """Which of DATABASE, BUS and VENUE are away at this moment."""

    def strikes(self, chance: float) -> bool:
        """Dice once."""
        return chance > 0.0 and self.rng.random() < chance

    def travel(self, *, quick: float = 0.002) -> float:
        """Seconds on the way, `quick` on average, sometimes almost as long as anybody waits."""
        if self.strikes(self.slow):
            return self.rng.uniform(0.0, SEND_SECONDS_MAX)
        return min(self.rng.expovariate(1 / quick), SEND_SECONDS_MAX)

    def trip(self, place: str, *, quick: float = 0.002) -> Trip:
        """One call to `place`, lost if that is away."""
        return Trip(
            there=self.travel(quick=quick),
            back=self.travel(quick=quick),
            time_max=SEND_SECONDS_MAX,
            request_lost=place in self.down or self.strikes(self.request_lost),
            answer_lost=self.strikes(self.answer_lost),
        )

    def heal(self) -> None:
        """All is well from now on."""
        for each in fields(self):
            if each.name in CHANCES:
                setattr(self, each.name, 0.0)
        self.down = frozenset()

    def fall(self, place: str) -> None:
        """`place` gives no answers until `rise`."""
        self.down |= {place}

    def rise(self, place: str) -> None:
        """`place` is back."""
        self.down -= {place}


def drawn(rng: random.Random) -> Weather:
    """The weather of a seed: each kind of fault with chance one half."""
    weather = Weather(rng=rng)
    for name, (low, high) in CHANCES.items():
        setattr(weather, name, rng.uniform(low, high) if rng.random() < 0.5 else 0.0)
    return weather
