"""The commands on schedules against a real server on loopback."""

from __future__ import annotations

from tests.api.fake_access import ACTOR
from tests.api.fake_schedules import BEGUN, CONFIGURED_ID, DAILY_ID
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.schedule import ScheduleType
from tradesaga.ports.schedule_operations import NewSchedule

DAILY = str(DAILY_ID)


async def test_the_list_in_words(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("schedules", "ls", url=url)
    header, configured, daily = said.out.splitlines()
    assert header.split()[0] == "CYCLE"
    assert "Every minute" in configured
    assert "At 10:00 on Monday through Friday (America/New_York)" in daily
    assert daily.endswith(DAILY)


async def test_the_next_ten_fires_in_words_and_times(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("schedules", "next", DAILY, url=url)
    words, *fires = said.out.splitlines()
    assert words == "At 10:00 on Monday through Friday (America/New_York)"
    assert (len(fires), fires[0]) == (10, "2020-12-16 15:00:00Z")


async def test_adding_and_switching(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        added = await terminal.types(
            "schedules", "add", "sma", "cron", "0 10 * * 1-5", "--priority", "5", url=url
        )
        off = await terminal.types("schedules", "disable", DAILY, url=url)
        on = await terminal.types("schedules", "enable", DAILY, url=url)
        gone = await terminal.types("schedules", "rm", DAILY, url=url)
    assert [said.code for said in (added, off, on, gone)] == [0, 0, 0, 0]
    new = NewSchedule(
        strategy="sma", schedule_type=ScheduleType.CRON, value="0 10 * * 1-5", priority=5
    )
    assert api.schedules.calls[0] == ("add", (new, ACTOR))
    assert "  no  " in off.out
    assert "  yes  " in on.out


async def test_by_hand(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        trigger = await terminal.types("schedules", "trigger", DAILY, url=url)
        analyse = await terminal.types("analyze", "busy", "--symbol", "SPY", url=url)
    assert trigger.out == f"cycle {BEGUN} started\n"
    assert analyse.out == f"cycle {BEGUN} queued\n"
    assert api.schedules.calls[1] == ("analyse", ("busy", ["SPY"], ACTOR))


async def test_refusals_have_their_exit_codes(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        configured = await terminal.types("schedules", "disable", str(CONFIGURED_ID), url=url)
        unknown = await terminal.types("analyze", "unknown", url=url)
        wrong = await terminal.types("schedules", "add", "sma", "cron", "never", url=url)
    codes = [said.code for said in (configured, unknown, wrong)]
    assert codes == [ExitCode.WRONG_STATE, ExitCode.NOT_FOUND, ExitCode.USAGE]
