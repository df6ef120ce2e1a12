"""The commands on old rows against a real server on loopback."""

from __future__ import annotations

from dataclasses import replace

from tests.api.fake_retention import RUN
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal


async def test_show_tells_ages_the_last_run_and_sizes(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        first = await terminal.types("retention", "show", url=url)
        api.retention.last = RUN
        second = await terminal.types("retention", "show", url=url)
    assert (first.code, first.err) == (0, "")
    lines = [" ".join(line.split()) for line in first.out.splitlines()]
    for line in (
        "every 1 hours", "trades 30 days", "inbox 36 hours", "cycles for ever", "no run yet",
        "orders 12,000 5.0 MiB 1,000,000 400.0 MiB",
    ):  # fmt: skip
        assert line in lines
    assert "1,200 sagas, 1,200 orders" in second.out


async def test_run_tells_what_was_moved_and_whether_there_is_more(
    api: Api, terminal: Terminal
) -> None:
    async with served(api.app) as url:
        done = await terminal.types("retention", "run", url=url)
        api.retention.answer = replace(RUN, complete=False)
        more = await terminal.types("retention", "run", url=url)
        api.retention.answer = replace(RUN, rows={}, complete=False, problem="inbox: away")
        failed = await terminal.types("retention", "run", "-o", "json", url=url)
        told = await terminal.types("retention", "run", url=url)
    assert done.out.splitlines()[-1].endswith("1,200 sagas, 1,200 orders")
    assert more.out.splitlines()[-1] == "more is due"
    assert '"problem":"inbox: away"' in failed.out
    assert told.out.splitlines()[-1] == "ended early: inbox: away"
    assert (done.code, more.code, failed.code, told.code) == (0, 0, 1, 1)
