"""What a simulated world has only when it is asked for, so that no seed's trace changes by it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from sim.setting import SYMBOLS
from sim.town import Town
from tradesaga.domain.ids import StrategyId, derived
from tradesaga.domain.strategies import StrategyMode
from tradesaga.engine.settings import Tolerances
from tradesaga.testing.sim_venue import Sent

DEATH_IN_SEND: Final = 0.2
"""How often a process dies in a send; what it has sent arrives all the same."""


WATCHFUL: Final = Tolerances(
    bus_lost_max=timedelta(seconds=5),
    commit_time_slow=timedelta(milliseconds=500),
    commit_time_max=timedelta(seconds=2),
    lease_stall_max=timedelta(seconds=1),
)
"""Those of the product; a simulated process dies too often to trade much with them."""


class Extra(StrEnum):
    """By what they add."""

    STRANGERS = "strangers"  # somebody else orders on the account
    SHADOW = "shadow"  # a shadow strategy decides beside the others
    DEATHS_IN_SENDS = "deaths in sends"  # at a venue that takes an id twice
    WATCHED = "watched"  # the watchers tolerate little, as in the product, and cash is compared


def add_to(town: Town, extras: Set[Extra]) -> None:
    """Add what is asked for; somebody else comes later, as a task."""
    if Extra.SHADOW in extras:
        first = town.strategies[0]
        shadow = replace(
            first, id=StrategyId(derived("shadow")), external_id="shadow", name="Shadow",
            mode=StrategyMode.SHADOW, symbols=SYMBOLS,
        )  # fmt: skip
        town.strategies = (*town.strategies, shadow)
    if Extra.WATCHED in extras:
        town.settings = replace(town.settings, tolerances=WATCHFUL, cash_tolerance=Decimal(1))
    if Extra.DEATHS_IN_SENDS in extras:
        _deaths_in_sends(town)


def _deaths_in_sends(town: Town) -> None:
    judge, rng = town.venue.on_sent, town.loop.rng
    town.venue.dedupes, town.venue.looks_up = False, True
    town.policy = replace(town.policy, dedupes=False)

    def sent(each: Sent) -> None:
        judge(each)
        node = next((n for n in town.nodes if n.life and n.life.name == each.by), None)
        if node is not None and node.life is not None and rng.random() < DEATH_IN_SEND:
            town.loop.call_soon(node.life.kill, "in a send")

    town.venue.on_sent = sent
