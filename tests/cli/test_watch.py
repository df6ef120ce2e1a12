"""`cycles watch`: what it prints as cycles end, and the ways in which it ends itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.api.fakes import CYCLE, CYCLE_ID, LATER, RUNNING_CYCLE, RUNNING_CYCLE_ID, Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.errors import Unavailable


@asynccontextmanager
async def changing(api: Api, *after: Sequence[Cycle]) -> AsyncIterator[str]:
    """A server whose list of cycles changes each time it has been asked for."""
    views = iter(after)
    asked = api.operations._asked

    def ask(name: str, **arguments: object) -> None:
        asked(name, **arguments)
        api.operations.listed = next(views, api.operations.listed)

    api.operations._asked = ask  # type: ignore[method-assign]  # a fake of a fake
    async with served(api.app) as url:
        yield url


async def test_watching_one_cycle_until_it_completes(api: Api, terminal: Terminal) -> None:
    tokens = ["cycles", "watch", str(CYCLE_ID), "--interval", "0.01", "-o", "json"]
    running = replace(CYCLE, status=CycleStatus.STARTED, completed_at=None)
    async with changing(api, [running], [running], [CYCLE]) as url:
        said = await terminal.types(*tokens, url=url)
    assert said.code == ExitCode.OK
    [line] = said.out.splitlines()
    assert json.loads(line)["status"] == "completed"


async def test_watching_one_cycle_that_fails(api: Api, terminal: Terminal) -> None:
    api.operations.listed = [replace(CYCLE, status=CycleStatus.FAILED)]
    async with served(api.app) as url:
        said = await terminal.types("cycles", "watch", str(CYCLE_ID), url=url)
    assert said.code == ExitCode.FAILED
    assert "failed" in said.out


async def test_watching_gives_up_in_time(api: Api, terminal: Terminal) -> None:
    tokens = ["cycles", "watch", str(RUNNING_CYCLE_ID), "--timeout", "0.2", "--interval", "0.05"]
    async with served(api.app) as url:
        said = await terminal.types(*tokens, url=url)
    assert (said.code, said.out) == (ExitCode.TIMED_OUT, "")
    assert "gave up after 0.2 seconds" in said.err


async def test_watching_prints_each_cycle_once_as_it_ends(api: Api, terminal: Terminal) -> None:
    ended = replace(RUNNING_CYCLE, status=CycleStatus.CANCELLED, completed_at=LATER)
    tokens = ["cycles", "watch", "--timeout", "1", "--interval", "0.01", "-o", "json"]
    async with changing(api, [RUNNING_CYCLE, CYCLE], [ended, CYCLE]) as url:
        said = await terminal.types(*tokens, url=url)
    assert said.code == ExitCode.TIMED_OUT
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [(line["id"], line["status"]) for line in lines] == [
        (str(CYCLE_ID), "completed"),
        (str(RUNNING_CYCLE_ID), "cancelled"),
    ]


async def test_watching_an_unknown_cycle(api: Api, terminal: Terminal) -> None:
    api.operations.listed = []
    async with served(api.app) as url:
        said = await terminal.types("cycles", "watch", str(CYCLE_ID), url=url)
    assert said.code == ExitCode.NOT_FOUND


async def test_watching_outlives_a_restart_of_the_server(api: Api, terminal: Terminal) -> None:
    tokens = ["cycles", "watch", str(CYCLE_ID), "--interval", "0.01", "--timeout", "10"]
    running = replace(CYCLE, status=CycleStatus.STARTED, completed_at=None)
    api.operations.listed = [running]
    asked = asyncio.Event()
    original = api.operations._asked

    def ask(name: str, **arguments: object) -> None:
        asked.set()  # in the server's loop, which is ours
        original(name, **arguments)

    api.operations._asked = ask  # type: ignore[method-assign]  # a fake of a fake
    async with asyncio.TaskGroup() as group, served(api.app) as url:
        watching = group.create_task(terminal.types(*tokens, url=url))
        await asked.wait()
        api.operations.error = Unavailable("the database is away")
        asked.clear()
        await asked.wait()
        api.operations.error = None
        api.operations.listed = [CYCLE]
        said = await watching
    assert said.code == ExitCode.OK
    assert "the database is away" in said.err


def heed_interrupts() -> None:
    """As on a terminal: a shell has what it runs in the background ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


async def test_ctrl_c_ends_watching_with_130(api: Api) -> None:
    command = [sys.executable, "-m", "tradesaga", "cycles", "watch", "--interval", "0.05"]
    async with served(api.app) as url:
        process = await asyncio.create_subprocess_exec(
            *command, "--url", url,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"},
            preexec_fn=heed_interrupts,
        )  # fmt: skip
        assert process.stdout is not None
        await process.stdout.readline()  # the header: it has asked once
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in err
