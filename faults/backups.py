"""A database that is older than what was sent since: yesterday's backup, and a replica behind it.

Two nodes trade, are stopped and copied, and trade on. Then the copy takes the place of their
database: as it is, and promoted. Each time they must be halted by themselves, send nothing, go on
with their cycles, list what was forgotten, and be let go by a person alone.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from faults.campaign import BACK_SECONDS_MAX, back, told, up_on
from tests.acceptance.running import Up
from tests.embedded.other_books import NOTHING_LEFT, laid

WHAT: Final = {36: "yesterday's backup is restored", 35: "a replica that was behind leads"}
NUMBERS: Final = tuple(WHAT)
FILLS: Final = "select count(*) from fills"
SENDS: Final = "select coalesce(sum(sends), 0) from orders"
DOUBT: Final = """select exists (select from ladders, jsonb_array_elements(reasons) r
  where r ->> 'cause' = 'BOOKS_IN_DOUBT')"""
FORGOTTEN: Final = "select exists (select from external_orders where kind = 'forgotten')"


async def run(place: Path, speed: float, chosen: Sequence[int]) -> Sequence[str]:
    """Do those of NUMBERS that are chosen; what was wrong."""
    state, backup = place / "state", place / "backup"
    await _trade(up_on(state, place, speed))
    shutil.copytree(state / "pgdata", backup)
    await _trade(up_on(state, place, speed))
    wrong: list[str] = []
    for number in chosen:
        laid(backup, state / "pgdata")
        if number == 35:
            _promote(state / "pgdata")
        wrong += await _must_halt(up_on(state, place, speed), number)
    return wrong


async def _trade(up: Up) -> None:
    try:
        await up.until("select to_regclass('fills') is not null")
        before = await up.ask(FILLS)
        await up.until(f"select ({FILLS}) > $1", before, seconds=BACK_SECONDS_MAX)
        await back(up)
    finally:
        up.stop()


def _promote(data: Path) -> None:
    with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in NOTHING_LEFT.items())
    (data / "recovery.signal").touch()


async def _must_halt(up: Up, number: int) -> Sequence[str]:
    began = time.monotonic()
    try:
        await up.until("select to_regclass('ladders') is not null")
        before = await up.ask(SENDS)
        await up.until(DOUBT, seconds=BACK_SECONDS_MAX)
        told(number, WHAT[number], time.monotonic() - began)
        await up.until(FORGOTTEN, seconds=BACK_SECONDS_MAX)
        await back(up)
        wrong = [f"{number}: it sent orders"] if await up.ask(SENDS) != before else []
        if not await up.ask(DOUBT):
            wrong.append(f"{number}: it was let go by itself")
        if not await _rearmed(up):
            wrong.append(f"{number}: a person could not let it go")
        return wrong
    finally:
        up.stop()


async def _rearmed(up: Up) -> bool:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tradesaga", "rearm", "--operator", "ann", "--confirm"),
        *("--reason", "compared", "--url", f"http://127.0.0.1:{up.port}"),
        *("--token-file", str(up.state_dir / "api-token")),
    )
    return await command.wait() == 0 and not await up.ask(DOUBT)
