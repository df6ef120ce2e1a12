"""A sample of `make faults`: the other rows are its own, or in the neighbouring files."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.campaign import campaign
from faults.wounds import WOUNDS

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

SAMPLE = (18, 29, 33, 43)
"""Sessions terminated, a bus that comes back empty, the log locked, poison: nothing else in the
tests does that to all of it."""


async def test_two_nodes_go_on_after_each_fault(state_dir: Path) -> None:
    place = state_dir.parent / f"{state_dir.name}-faults"
    place.mkdir(mode=0o711)
    chosen = [wound for wound in WOUNDS if wound.number in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    assert await campaign(place, chosen, speed=120) == 0
