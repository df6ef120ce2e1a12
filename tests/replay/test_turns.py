"""What comes from outside comes one by one, and on the tape: a replay goes the same way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.replay.test_recorded import StandingClock, record
from tests.replay.test_recorded_commands import a_busy_day, eager_script
from tradesaga.bootstrap.recording import RecordingLoop
from tradesaga.domain.errors import Invalid
from tradesaga.domain.orders import Order
from tradesaga.engine.world import World
from tradesaga.replay import turns
from tradesaga.replay.notes import Notes
from tradesaga.replay.playing import Run
from tradesaga.replay.rerunning import Life, rerun
from tradesaga.replay.seen import seen
from tradesaga.replay.tape import TURNS, Line, Tape, _read, files_of, read_tape

HOPS_MAX = 9
PORTS = ("journal", "records", "outbox", "venue", "market_data", "decisions", "lease")


class Jittery:
    """A port whose outcomes come, within one moment, as late as chance will have it.

    What is written may be seen before its writer hears of it.
    """

    def __init__(self, port: Any, rng: random.Random) -> None:
        self._port = port
        self._rng = rng

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not iscoroutinefunction(method):
            return method

        async def asked(*values: Any, **named: Any) -> Any:
            await self._hops()
            try:
                return await method(*values, **named)
            finally:
                await self._hops()

        return asked

    async def deliveries(self) -> AsyncIterator[Any]:
        async for delivery in self._port.deliveries():
            await self._hops()
            yield delivery

    async def _hops(self) -> None:
        for _ in range(self._rng.randrange(HOPS_MAX)):
            await asyncio.sleep(0)


def jittery(seed: int, world: World) -> World:
    rng = random.Random(seed)
    ports: dict[str, Any] = {name: Jittery(getattr(world, name), rng) for name in PORTS}
    return replace(world, bus=Jittery(world.bus, rng), **ports)


def a_jittery_day(directory: Path, seed: int) -> tuple[Life, Run]:
    run = record(
        eager_script(directory), directory, partial(jittery, seed), orders=a_busy_day
    )  # fmt: skip
    return life_as(run, files_of(directory)[0]), run


def life_as(run: Run, path: Path) -> Life:
    beginning, lines = read_tape(path)
    lived = run.script
    return Life(
        beginning=beginning,
        lines=lines,
        settings=lived.settings,
        policy=lived.policy,
        capabilities=lived.capabilities,
        calendar=lived.calendar,
    )


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Life, Run]:
    return a_jittery_day(tmp_path_factory.mktemp("busy"), 1)


def test_the_order_of_what_comes_at_one_moment_is_kept(busy: tuple[Life, Run]) -> None:
    life, run = busy
    found = rerun(life)
    assert (found.astray, found.divergences, found.unanswered) == ("", [], [])
    assert not found.cut_off
    stored = run.store.of(Order, run.script.settings.agent_id)
    assert found.orders == len(stored) > 3


def test_another_order_would_have_been_noticed(busy: tuple[Life, Run]) -> None:
    """Late in the day, the outcomes of each moment turned round: it goes another way."""
    life, _ = busy
    lines = list(life.lines)
    places = [n for n, line in enumerate(lines) if line.kind in TURNS and n > len(lines) * 0.8]
    for first, second in zip(places[::2], places[1::2], strict=False):
        if lines[first].at == lines[second].at:
            lines[first], lines[second] = lines[second], lines[first]
    assert rerun(replace(life, lines=lines)).divergences


@pytest.mark.parametrize("share", [0.13, 0.38, 0.61])
def test_a_life_is_replayed_as_far_as_its_tape_goes(busy: tuple[Life, Run], share: float) -> None:
    """Wherever a crash cuts it off; what was being written then is named, and nothing else."""
    life, _ = busy
    begin = int(len(life.lines) * share)
    for end in range(begin, begin + 4):
        found = rerun(replace(life, lines=life.lines[:end]))
        assert (found.astray, found.divergences) == ("", [])


def test_a_life_of_a_version_without_turns_is_refused(busy: tuple[Life, Run]) -> None:
    old = msgspec.structs.replace(busy[0].beginning, turns=False)
    with pytest.raises(Invalid, match="did not note the order in which everything came"):
        rerun(replace(busy[0], beginning=old))


# ---- how turns are given -------------------------------------------------------------------------


def taking_turns(directory: Path) -> Notes:
    return Notes(Tape(directory), StandingClock())


async def test_the_engine_comes_to_rest_before_the_next_turn(tmp_path: Path) -> None:
    notes, said = taking_turns(tmp_path), list[str]()
    heard = asyncio.Event()

    async def outcome() -> None:
        await asyncio.sleep(0)

    async def asks(name: str) -> None:
        await notes.call(name, "", outcome())
        said.append(name)
        heard.set()
        for _ in range(5):
            await asyncio.sleep(0)
        said.append(f"{name} done")

    async def hears() -> None:
        await heard.wait()
        said.append("heard")

    async with notes.turns.live("engine"), asyncio.TaskGroup() as group:
        for name in ("one", "two", "three"):
            group.create_task(asks(name))
        group.create_task(hears())
    assert said == ["one", "heard", "one done", "two", "two done", "three", "three done"]


async def test_an_engine_without_rest_is_given_its_turns_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOKS_MAX", 20)
    notes = taking_turns(tmp_path)

    async def restless() -> None:
        while True:  # noqa: ASYNC110 -- that is what it is here for
            await asyncio.sleep(0)

    async with notes.turns.live("engine"), asyncio.TaskGroup() as group:
        spinning = group.create_task(restless())
        assert await notes.call("account", "", asyncio.sleep(0, "answer")) == "answer"
        spinning.cancel()


async def test_a_persons_command_comes_before_what_waits(tmp_path: Path) -> None:
    notes, said = taking_turns(tmp_path), list[str]()

    async def asks(name: str) -> None:
        await notes.call(name, "", asyncio.sleep(0))
        said.append(name)

    async def kills() -> None:
        async with notes.turns.live("command 1"):
            said.append("kill")

    async with notes.turns.live("engine"), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(asks(f"question {number}"))
        await notes.call("another", "", asyncio.sleep(0))
        group.create_task(kills())
    assert said.index("kill") < said.index("question 3")


async def test_who_looks_on_takes_no_turn_and_is_not_noted(tmp_path: Path) -> None:
    notes = taking_turns(tmp_path)
    assert await notes.call("account", "", asyncio.sleep(0, "answer")) == "answer"
    notes.tape.close()
    assert notes.tape.path.stat().st_size < 100


async def test_who_gives_up_hears_of_it_in_a_turn(tmp_path: Path) -> None:
    notes = taking_turns(tmp_path)

    async with notes.turns.live("engine"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await notes.call("account", "", asyncio.Event().wait())
    notes.tape.close()
    kinds = [(line.kind, line.name, line.error) for line in lines_of(notes)]
    assert kinds == [("asked", "account", ""), ("call", "account", "CancelledError")]


def test_timers_of_the_engine_fire_in_turns_on_the_real_loop(tmp_path: Path) -> None:
    async def live() -> Notes:
        notes = taking_turns(tmp_path)
        async with notes.turns.live("engine"):
            await asyncio.sleep(0.001)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await asyncio.Event().wait()
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
        return notes

    with asyncio.Runner(loop_factory=RecordingLoop) as runner:
        notes = runner.run(live())
    notes.tape.close()
    kinds = [(line.kind, line.number) for line in lines_of(notes)]
    assert kinds == [("asked", 1), ("timer", 1), ("asked", 2), ("timer", 2), ("asked", 3)]


def lines_of(notes: Notes) -> list[Line]:
    return list(_read(notes.tape.path))


def test_two_stores_agree_in_how_much_they_show() -> None:
    assert [seen(None), seen(True), seen([]), seen({})] == ["None", "True", "0 0", "0 0"]
