"""The command `why` against a real server on loopback."""

from __future__ import annotations

import pytest

from tests.api.fake_risk import DENIED_ID, NAMES
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal


async def test_why_a_decision_was_denied(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("why", str(DENIED_ID), url=url)
        whole = await terminal.types("why", str(DENIED_ID), "--rules", url=url)
    assert (said.code, said.err) == (0, "")
    assert "summary   buy ACME was denied by ORDER_NOTIONAL" in said.out
    assert "quantity 50 or less" in said.out
    assert "LADDER" not in said.out
    assert "LADDER" in whole.out


async def test_why_nobody_decided(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types(
            "why", "--symbol", "BOLT", "--time", "2020-12-15T17:00:00Z", url=url
        )
        neither = await terminal.types("why", url=url)
    assert said.code == 0
    assert "the market was closed" in said.out
    assert neither.code == 2


async def test_a_decision_is_traced(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("trace", str(DENIED_ID), url=url)
        unknown = await terminal.types("trace", "01766713-2a80-7000-8000-0000000000ff", url=url)
    assert (said.code, said.err) == (0, "")
    assert "verdict       denied at 2020-12-15 17:00:00Z" in said.out
    assert "ORDER_NOTIONAL" in said.out
    assert f"correlation   {DENIED_ID}" in said.out
    assert unknown.code == 3


@pytest.mark.parametrize("name", NAMES)
async def test_any_of_its_ids_traces_a_decision(api: Api, terminal: Terminal, name: str) -> None:
    async with served(api.app) as url:
        said = await terminal.types("trace", name, url=url)
    assert (said.code, said.err) == (0, "")
    assert f"correlation   {DENIED_ID}" in said.out
    assert api.risk.calls == [("provenance", {"name": name})]
