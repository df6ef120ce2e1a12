"""`tradesaga limits` as people use it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.agent import Mode

WHY = ("--reason", "earnings week")
UNTIL = "2026-12-01T21:00:00Z"


async def test_the_limits_in_force_with_a_mark_on_what_was_changed(
    api: Api, terminal: Terminal
) -> None:
    async with served(api.app) as url:
        said = await terminal.types("limits", "show", "--mode", "normal", url=url)
    assert (said.code, said.err) == (0, "")
    first, head, *rows = said.out.splitlines()
    assert first == "revision 1, the agent's mode is normal"
    assert head.split() == ["LIMIT", "NORMAL"]
    cells = dict(row.split() for row in rows[:-1])
    assert (cells["positionPercent"], cells["orderNotionalPercent"]) == ("10*", "5")
    assert cells["allowShort"] == "false"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ((), {"entriesPerHour": 3, "allowShort": True}),
        # beside what was changed for a while before
        (("--until", UNTIL, "--confirm"), {"positionPercent": Decimal("7.5"), "entriesPerHour": 3,
                              "allowShort": True}),
    ],
)  # fmt: skip
async def test_a_change_is_made_under_the_revision_that_was_read(
    api: Api, terminal: Terminal, more: tuple[str, ...], expected: dict[str, object]
) -> None:
    async with served(api.app) as url:
        said = await terminal.types(
            "limits", "set", "normal", "entriesPerHour=3", "allowShort=true", *WHY, *more, url=url
        )
    assert (said.code, said.err) == (0, "")
    assert "normal is " in said.out
    assert "entriesPerHour 3" in said.out
    ((_, told),) = api.risk.calls
    assert told == {
        "mode": Mode.NORMAL,
        "limits": expected,
        "expires_at": datetime(2026, 12, 1, 21, tzinfo=UTC) if more else None,
        "revision": 1,
        "actor": ACTOR,
        "reason": "earnings week",
        "confirmed": "--confirm" in more,
    }


async def test_what_was_changed_is_taken_back(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("limits", "clear", "normal", *WHY, url=url)
    assert said.out == "revision 1: normal is as configured\n"
    assert api.risk.calls[0][1]["limits"] == {}


@pytest.mark.parametrize("value", ["positionPercent", "positionPercent=", "=5", "x=NaN", "x=much"])
async def test_what_is_no_limit_with_its_value_is_not_sent(
    api: Api, terminal: Terminal, value: str
) -> None:
    async with served(api.app) as url:
        said = await terminal.types("limits", "set", "normal", value, *WHY, url=url)
    assert said.code == ExitCode.USAGE
    assert "is no limit with its value" in said.err
    assert api.risk.calls == []


async def test_a_change_takes_a_reason(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        missing = await terminal.types("limits", "set", "normal", "entriesPerHour=3", url=url)
        blank = await terminal.types(
            "limits", "set", "normal", "entriesPerHour=3", "--reason", " ", url=url
        )
    assert (missing.code, blank.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert api.risk.calls == []


async def test_every_change_with_who_and_why(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("limits", "history", url=url)
    _, row = said.out.splitlines()
    assert row.split()[0] == "1"
    assert "positionPercent 7.5" in row
    assert row.endswith("earnings")
