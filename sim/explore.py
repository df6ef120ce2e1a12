"""Visit every world of the trade machine to a depth: `python -m sim.explore --depth 12`.

For each kind of venue: one that dedupes client order ids, one that does not, one that shows orders
later than it promised. Prints how many worlds and moves there are; a law that is broken is printed
with the moves that lead there, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.domain.trade_laws import Exploration, LawBroken
from tests.domain.trades import QUICK
from tests.domain.venue_model import first_world

VENUES: Final = {
    "dedupes": (QUICK, False),
    "forgetful": (replace(QUICK, dedupes=False), False),
    "slow": (replace(QUICK, dedupes=False), True),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore and report; 1 when a law is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--venue", choices=[*VENUES, "all"], default="all")
    given = parser.parse_args(arguments)
    chosen = list(VENUES) if given.venue == "all" else [given.venue]
    _say("venue      depth   worlds     moves  states  kinds of moves")
    return max(_explored(name, given.depth) for name in chosen)


def _explored(name: str, depth: int) -> int:
    policy, slow = VENUES[name]
    exploration = Exploration(policy=policy, depth_max=depth)
    try:
        exploration.run(first_world(slow=slow))
    except LawBroken as broken:
        _say(f"{name}: {broken}")
        return 1
    _say(
        f"{name:<10} {depth:>5} {exploration.worlds:>8} {exploration.moves_taken:>9}"
        f" {len(exploration.statuses):>7} {len(exploration.names):>15}",
    )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
