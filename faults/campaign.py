"""Wounds, one after the other, and what must be true after each of them and at the end.

After each fault the product must go on by itself: a cycle that began after the fault completes.
At the end no saga is open, every event is published, and `tradesaga verify` finds nothing broken.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from faults.wounds import CYCLES, Wound
from tests.acceptance.running import Up, write_strategies

BACK_SECONDS_MAX = 60.0
SETTLED = """select (select count(*) from sagas where status not like 'comp%')
  + (select count(*) from outbox where published_at is null) = 0"""


async def campaign(place: Path, chosen: Sequence[Wound[Up]], speed: float) -> int:
    """Inflict them one after the other; 1 when something is broken at the end."""
    up = up_on(place / "state", place, speed)
    try:
        await trading(up)
        for wound in chosen:
            await wound.inflict(up)
            told(wound.number, wound.what, await back(up))
        return await verified(up)
    finally:
        up.stop()


def up_on(state_dir: Path, place: Path, speed: float) -> Up:
    """Two nodes whose strategies trade every few minutes."""
    strategies = str(write_strategies(place))
    return Up(state_dir, "--strategies", strategies, "--speed", str(speed), "--nodes", "2")


async def trading(up: Up) -> None:
    """Wait for the first cycle."""
    await up.until("select to_regclass('cycles') is not null")
    await up.until(f"select ({CYCLES}) > 0")


async def back(up: Up) -> float:
    """Seconds from now until two more cycles have completed."""
    began = time.monotonic()
    before = await up.ask(CYCLES)
    await up.until(f"select ({CYCLES}) >= $1", before + 2, seconds=BACK_SECONDS_MAX)
    return time.monotonic() - began


def told(number: int, what: str, seconds: float) -> None:
    """One line for one fault."""
    print(f"{number:>3}  {what:<38} goes on after {seconds:5.1f} s", flush=True)


async def verified(up: Up) -> int:
    """Whether all is settled at some moment, and nothing is broken."""
    await up.until(SETTLED, seconds=BACK_SECONDS_MAX)
    print(f"{await up.ask('select count(*) from orders')} orders", flush=True)
    verifying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tradesaga", "verify", "--state-dir", str(up.state_dir)
    )
    return int(bool(await verifying.wait()))
