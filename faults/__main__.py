"""`python -m faults`: two nodes trade recorded minutes while one thing after another fails.

First what needs nothing but the product, then what needs a disk that can be taken away: root and
loop devices, for some faults more. What cannot be done here is named with what it lacks, and
counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from faults import backups, disk, power_cuts
from faults.campaign import back, campaign, told, trading, verified
from faults.disk import Disk, NoDisk
from faults.disk_wounds import DISK_WOUNDS
from faults.machine import Machine
from faults.wounds import WOUNDS, Wound

MEGABYTES = 1024
SHARED_MEMORY = "/dev/shm"
SHARED_MEMORY_FREE_MIN = 3 << 30
T = TypeVar("T")
ALL = sorted(
    {one.number for one in (*WOUNDS, *DISK_WOUNDS)} | {*power_cuts.NUMBERS, *backups.NUMBERS}
)


@dataclass(slots=True, kw_only=True)
class Run:
    """What the command line asks for, and what came of it."""

    place: Path
    given: argparse.Namespace
    broken: bool = False
    not_done: dict[int, str] = field(default_factory=dict)

    def asked(self, number: int) -> bool:
        """Whether the fault was named, or none was."""
        return self.given.only is None or number in self.given.only

    async def plain(self) -> None:
        """Those that need nothing."""
        chosen = self._drawn([wound for wound in WOUNDS if self.asked(wound.number)])
        if chosen and not self.given.disk:
            place = self._folder("plain")
            self.broken |= bool(await campaign(place, chosen, self.given.speed))

    async def backups(self) -> None:
        """Those of a database that was set back."""
        chosen = [number for number in backups.NUMBERS if self.asked(number)]
        if chosen and not self.given.disk:
            wrong = await backups.run(self._folder("backups"), self.given.speed, chosen)
            print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)
            self.broken |= bool(wrong)

    async def on_a_disk(self) -> None:
        """Those of the disk under the running product."""
        chosen = []
        for wound in DISK_WOUNDS:
            if self.asked(wound.number):
                if lacks := wound.lacks():
                    self.not_done[wound.number] = lacks
                else:
                    chosen.append(wound)
        place, venue = self._folder("disk"), self._folder("venue")
        under = self._disk(place, [wound.number for wound in chosen], {"paper": venue})
        if under is None:
            return
        try:
            machine = Machine(under, place, venue, self.given.speed)
            try:
                await self._wounded(machine, self._drawn(chosen))
            finally:
                machine.up.stop()
        finally:
            await under.close()

    async def power_cuts(self) -> None:
        """Those of bare servers at work, many times."""
        asked = [one for one in power_cuts.NUMBERS if self.given.cuts and self.asked(one)]
        under = self._disk(self._folder("cuts"), asked, {})
        if under is None:
            return
        try:
            cuts = power_cuts.Cuts(under, self.given.seed)
            wrong = await cuts.run(self.given.cuts)
        finally:
            await under.close()
        print(f" 27, 28  {cuts.told()}; {len(wrong)} wrong", *wrong, sep="\n", flush=True)
        self.broken |= bool(wrong)

    def told(self) -> int:
        """Name what was not done; the exit code."""
        for number, lacks in sorted(self.not_done.items()):
            print(f"{number:>3}  not done: this machine lacks {lacks}")
        if self.not_done:
            print(f"{len(self.not_done)} faults were not done")
        # Whoever names a fault, or the disk, wants it done.
        wanted = self.given.disk or self.given.only is not None
        return int(self.broken or (wanted and bool(self.not_done)))

    async def _wounded(self, machine: Machine, chosen: Sequence[Wound[Machine]]) -> None:
        await trading(machine.up)
        for wound in chosen:
            await wound.inflict(machine)
            told(wound.number, wound.what, await back(machine.up))
        self.broken |= bool(await verified(machine.up))

    def _disk(self, place: Path, numbers: Sequence[int], kept_out: dict[str, Path]) -> Disk | None:
        """A disk for these faults, if there are any and the machine gives one."""
        if not numbers:
            return None
        lacks = self.given.lacks
        if not lacks:
            try:
                return Disk(
                    place / "state",
                    megabytes=MEGABYTES,
                    outside=self.given.outside,
                    kept_out=kept_out,
                )
            except NoDisk as error:
                lacks = str(error)
        self.not_done |= dict.fromkeys(numbers, lacks)
        return None

    def _folder(self, name: str) -> Path:
        folder = self.place / name
        folder.mkdir()
        folder.chmod(0o711)  # the server may run as another user
        return folder

    def _drawn(self, chosen: Sequence[T]) -> list[T]:
        """Each as often as asked for; in drawn order when that is more than once."""
        rounds: int = self.given.rounds
        drawn = list(chosen) * rounds
        if rounds > 1:
            random.Random(self.given.seed).shuffle(drawn)
        return drawn


def main() -> int:
    """The command line."""
    given = _given()
    numbers = {one.number for one in DISK_WOUNDS} | {*power_cuts.NUMBERS}
    if given.only is None or numbers & set(given.only):
        given.lacks = disk.lacking()
        if not given.lacks and given.outside is None:
            disk.private(sys.argv[1:])
    # A test that is over, or a person, ends us: what was begun is taken back all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(
        prefix="tradesaga-faults-", dir=_roomy(), ignore_cleanup_errors=True
    ) as at:
        run = Run(place=Path(at), given=given)
        run.place.chmod(0o711)
        asyncio.run(_all(run))
        return run.told()


async def _all(run: Run) -> None:
    await run.plain()
    await run.backups()
    await run.on_a_disk()
    await run.power_cuts()


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--only", type=int, action="append", choices=ALL, help="only this")
    parser.add_argument("--disk", action="store_true", help="only those that need a disk")
    parser.add_argument("--rounds", type=int, default=1, help="each so often, in drawn order")
    parser.add_argument("--cuts", type=int, default=20, help="power cuts under bare servers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=60.0, help="times real time")
    parser.add_argument("--outside", help=argparse.SUPPRESS)
    parser.set_defaults(lacks="")
    return parser.parse_args()


def _roomy() -> str | None:
    """Where an image of a disk may grow: shared memory spares the real disk, if there is enough."""
    with_room = os.access(SHARED_MEMORY, os.W_OK) and (
        shutil.disk_usage(SHARED_MEMORY).free >= SHARED_MEMORY_FREE_MIN
    )
    return SHARED_MEMORY if with_room else None


if __name__ == "__main__":
    raise SystemExit(main())
