"""Beginning anew: a former replay is put aside, never deleted.

The cluster, the bus's store and the neighbours' books belong to one run and go together into
`former-runs/N` of the state directory. Refuses a directory in which no replay was played: what
stands there may be somebody's real trading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tradesaga.domain.errors import Invalid
from tradesaga.paper.places import STORE_FILE

SHELF: Final = "former-runs"
PARTS: Final = ("paper", "nats", "pgdata")
RUNS_MAX: Final = 10_000


def put_aside(state_dir: Path) -> Path | None:
    """Move the parts of the former run; where to, or None if there was none.

    The supervisor's lock must be held. Raises Invalid when they are not a replay's.
    """
    there = [name for name in PARTS if (state_dir / name).exists()]
    if not there:
        return None
    if not is_replay(state_dir):
        raise Invalid(
            [
                f"--fresh: {state_dir} holds data of something else than a replay "
                f"({', '.join(there)}, without paper/{STORE_FILE}): move them away by hand, or "
                "choose another directory with --state-dir"
            ]
        )
    shelf = _next_place(state_dir / SHELF)
    for name in reversed(there):  # the proof that it is a replay goes last: an interrupted move
        (state_dir / name).rename(shelf / name)  # can be repeated
    return shelf


def is_replay(state_dir: Path) -> bool:
    """Whether a replay was played in this state directory."""
    return (state_dir / "paper" / STORE_FILE).is_file()


def _next_place(shelf: Path) -> Path:
    shelf.mkdir(mode=0o700, exist_ok=True)
    for number in range(1, RUNS_MAX):
        place = shelf / str(number)
        if not place.exists():
            place.mkdir(mode=0o700)
            return place
    raise Invalid([f"--fresh: {shelf} is full: remove what is not needed any more"])
