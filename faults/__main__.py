"""`python -m faults`: two nodes trade recorded minutes while one thing after another fails.

After each fault the product must go on by itself: a cycle that began after the fault completes.
At the end no saga is open, every event is published, and `tradesaga verify` finds nothing broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from faults.wounds import CYCLES, WOUNDS, Wound
from tests.acceptance.running import Up, write_strategies

BACK_SECONDS_MAX = 60.0
SETTLED = """select (select count(*) from sagas where status not like 'comp%')
  + (select count(*) from outbox where published_at is null) = 0"""


async def wounded(up: Up, wound: Wound) -> float:
    """Seconds from the end of the fault until two more cycles have completed."""
    await wound.inflict(up)
    began = time.monotonic()
    before = await up.ask(CYCLES)
    await up.until(f"select ({CYCLES}) >= $1", before + 2, seconds=BACK_SECONDS_MAX)
    return time.monotonic() - began


async def campaign(place: Path, chosen: list[Wound], speed: float) -> int:
    """Inflict them one after the other; 1 when something is broken at the end."""
    up = Up(
        place / "state", "--strategies", str(write_strategies(place)),
        "--speed", str(speed), "--nodes", "2",
    )  # fmt: skip
    try:
        await up.until("select to_regclass('cycles') is not null")
        await up.until(f"select ({CYCLES}) > 0")
        for wound in chosen:
            seconds = await wounded(up, wound)
            print(f"{wound.number:>3}  {wound.what:<34} goes on after {seconds:5.1f} s", flush=True)
        return await verified(up)
    finally:
        up.stop()


async def verified(up: Up) -> int:
    """Whether all is settled at some moment, and nothing is broken."""
    await up.until(SETTLED, seconds=BACK_SECONDS_MAX)
    print(f"{await up.ask('select count(*) from orders')} orders", flush=True)
    verifying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tradesaga", "verify", "--state-dir", str(up.state_dir)
    )
    return int(bool(await verifying.wait()))


def main() -> int:
    """The command line."""
    numbers = [wound.number for wound in WOUNDS]
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--only", type=int, action="append", choices=numbers, help="only this")
    parser.add_argument("--rounds", type=int, default=1, help="each so often, in drawn order")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=60.0, help="times real time")
    given = parser.parse_args()
    chosen = [w for w in WOUNDS if given.only is None or w.number in given.only] * given.rounds
    if given.rounds > 1:
        random.Random(given.seed).shuffle(chosen)
    with tempfile.TemporaryDirectory(prefix="tradesaga-faults-", ignore_cleanup_errors=True) as at:
        place = Path(at)
        place.chmod(0o711)  # the server may run as another user
        return asyncio.run(campaign(place, chosen, given.speed))


if __name__ == "__main__":
    raise SystemExit(main())
