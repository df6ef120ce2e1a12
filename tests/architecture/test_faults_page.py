"""The page on faults is complete and true: each has a place where it is tried, or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faults import backups, power_cuts
from faults.disk_wounds import DISK_WOUNDS
from faults.wounds import WOUNDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "faults.md"
WHERE = ("yes", "disk")
OF_BUS_WIRE_POSTGRES_AND_NODES = {4, 5, 14, *range(15, 48)}


def rows() -> list[tuple[set[int], str, str, str]]:
    """Numbers, whether and where `make faults` does it, tests, reason."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| \d", line):
            numbers, _, wound, tests, reason = (cell.strip() for cell in line.split("|")[1:-1])
            found.append(({int(one) for one in numbers.split(", ")}, wound, tests, reason))
    return found


def test_every_fault_has_its_row() -> None:
    listed = [number for numbers, *_ in rows() for number in numbers]
    assert len(listed) == len(set(listed))
    assert set(listed) == OF_BUS_WIRE_POSTGRES_AND_NODES


def test_what_make_faults_does_is_what_the_page_says() -> None:
    said = {where: {min(n) for n, wound, *_ in rows() if wound == where} for where in WHERE}
    on_a_disk = {wound.number for wound in DISK_WOUNDS} | {*power_cuts.NUMBERS}
    plain = {wound.number for wound in WOUNDS} | {*backups.NUMBERS}
    assert said["yes"] == plain & OF_BUS_WIRE_POSTGRES_AND_NODES
    assert said["disk"] == on_a_disk
    assert {wound for _, wound, *_ in rows()} <= {*WHERE, ""}


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(min(row[0])))
def test_a_fault_is_tried_or_says_why_not(row: tuple[set[int], str, str, str]) -> None:
    _, wound, tests, reason = row
    named = re.findall(r"`(tests/[^`]+)`", tests)
    assert wound in WHERE or named or len(reason.split()) > 4
    for name in named:
        path, _, function = name.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"def {function or 'test_'}", text), f"{name} is no test"
