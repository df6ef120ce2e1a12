"""A life that was recorded is played again from the tape: same decisions, same orders."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from tests.replay.scripts import SHORT, script
from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.bootstrap.rerunning import rerun_recorded
from tradesaga.bootstrap.scripting import ScriptOptions, configuration
from tradesaga.cli.replay_rendering import rerun_text
from tradesaga.config import wire_values
from tradesaga.domain.errors import Invalid, Refused, Unavailable
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.world import World
from tradesaga.ports.services import TradingEngine
from tradesaga.replay import playing
from tradesaga.replay.capture import CapturedVenue, captured, lived, note_beginning
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.commands import captured_ports
from tradesaga.replay.identities import SeededIds
from tradesaga.replay.notes import Notes
from tradesaga.replay.playing import Run, Script
from tradesaga.replay.rerunning import Life, rerun
from tradesaga.replay.tape import Known, Line, Tape, files_of, read_tape
from tradesaga.replay.turns import TurnLoop

Change = Callable[[World], World]
Orders = Callable[[Mapping[str, Any], PlayedClock], Awaitable[None]]


async def nothing_more(_ports: Mapping[str, Any], _clock: PlayedClock) -> None:
    """No command but the start."""


class Lived(playing._Replay):
    """A replay that is commanded through the ports that the API has, as they are noted."""

    notes: Notes
    orders: Orders

    @override
    async def _live(self, orchestrator: Orchestrator, stop: asyncio.Event) -> None:
        await lived(self.notes, orchestrator.run, stop)

    @override
    async def _played(self) -> None:
        control = await self._control
        ports = captured_ports(control, self.notes)
        await control.ready.wait()
        self._neighbours.announce()
        await ports["operations"].start(strategies=None, mode=None, actor=playing.ACTOR)
        await self.orders(ports, self._clock)
        await self._clock.until_end()
        self._neighbours.venue.end_of_recording()
        await self._sum_up()


def record(
    script: Script,
    directory: Path,
    change: Change = lambda world: world,
    store: MemoryStore | None = None,
    orders: Orders = nothing_more,
) -> Run:
    """Play a script and note it as `serve --record` does; `change` makes the world worse.

    A `store` is that of a former life, `orders` are given while it lives.
    """
    tape, loop = Tape(directory), TurnLoop()
    replay = Lived(script, loop, lambda _: None)
    notes = replay.notes = Notes(tape, replay._clock)
    replay.orders = orders
    if store is not None:
        replay._outcome.store = store
    # Another life draws other ids: what follows from them must come off the tape.
    world = change(replace(replay._world(), ids=SeededIds(replay._clock, 7)))

    async def run() -> Run:
        await note_beginning(
            notes,
            world,
            script.settings.agent_id,
            version="test",
            settings=wire_values(configuration(ScriptOptions(), {}).settings),
            configured=script.strategies,
        )
        replay._world = lambda: captured(world, notes)  # type: ignore[method-assign]  # a seam
        return await replay.run()

    try:
        return playing.run_on(loop, run())
    finally:
        tape.close()


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    directory = tmp_path_factory.mktemp("tapes")
    return directory, record(script(), directory)


def life_of(path: Path) -> Life:
    beginning, lines = read_tape(path)
    same = script()
    return Life(
        beginning=beginning,
        lines=lines,
        settings=same.settings,
        policy=same.policy,
        capabilities=same.capabilities,
        calendar=same.calendar,
    )


def test_the_replay_of_a_recorded_life_decides_and_orders_the_same(
    tapes: tuple[Path, Run],
) -> None:
    directory, run = tapes
    found = rerun(life_of(files_of(directory)[0]))
    assert found.divergences == []
    assert found.orders == len(run.store.of(Order, run.script.settings.agent_id)) > 0
    assert found.decisions > 100


def test_the_command_takes_all_lives_and_says_that_they_agree(tapes: tuple[Path, Run]) -> None:
    [(path, found)] = rerun_recorded(tapes[0], None, {})
    assert [one.what for one in found.divergences] == []
    [line] = rerun_text(path.name, found)
    assert line.endswith("all as recorded")


def test_other_settings_are_named_with_what_they_change(
    tapes: tuple[Path, Run], tmp_path: Path
) -> None:
    tight = tmp_path / "tight.yaml"
    tight.write_text("orchestrator: {risk: {ordersPerDay: 1, ordersPerMinute: 1}}\n")
    [(path, found)] = rerun_recorded(tapes[0], tight, {})
    whats = [one.what for one in found.divergences]
    assert whats[:2] == ["setting risk.ordersPerDay", "setting risk.ordersPerMinute"]
    assert any("denied ORDER_RATE" in one.replayed for one in found.divergences)
    assert any(what.startswith("order ts-") for what in whats)
    assert "risk.ordersPerDay" in "\n".join(rerun_text(path.name, found))


class Stubborn:
    """A venue that gives no answer to the first submit, and refuses the second."""

    def __init__(self, venue: TradingEngine) -> None:
        self._venue = venue
        self._submits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def submit(self, order: Order) -> VenueReport:
        self._submits += 1
        if self._submits == 1:
            await self._venue.submit(order)
            raise Unavailable("the answer was lost")
        if self._submits == 2:
            raise Refused("refused as the test wants it", code="TEST")
        return await self._venue.submit(order)


def test_lost_answers_and_refusals_are_lived_through_again(tmp_path: Path) -> None:
    run = record(script(), tmp_path, lambda world: replace(world, venue=Stubborn(world.venue)))
    orders: list[Order] = run.store.of(Order, run.script.settings.agent_id)
    assert [order.status for order in orders[:2]] == ["filled", "rejected"]
    life = life_of(files_of(tmp_path)[0])
    errors = [line.error for line in life.lines if line.name == "submit" and line.error]
    assert errors == ["Unavailable", "Refused"]
    assert rerun(life).divergences == []


def changed(source: Path, target: Path, change: Callable[[Line], Line]) -> Path:
    """The tape with every line changed."""
    with gzip.open(target, "wb") as file:
        file.writelines(msgspec.json.encode(change(line)) + b"\n" for line in read_tape(source)[1])
    return target


def test_another_answer_of_the_venue_is_a_divergence(
    tapes: tuple[Path, Run], tmp_path: Path
) -> None:
    [source] = files_of(tapes[0])

    def poorer(line: Line) -> Line:
        if line.name != "account" or line.kind != "call":
            return line
        account: Mapping[str, Any] = {**msgspec.json.decode(line.body), "buying_power": "1"}
        return msgspec.structs.replace(line, body=msgspec.Raw(msgspec.json.encode(account)))

    found = rerun(life_of(changed(source, tmp_path / "000001.jsonl.gz", poorer)))
    assert any("denied" in one.replayed for one in found.divergences)


def test_a_question_that_is_not_on_the_tape_is_named_and_answered_by_nobody(
    tapes: tuple[Path, Run], tmp_path: Path
) -> None:
    [source] = files_of(tapes[0])

    def without_late_quotes(line: Line) -> Line:
        late = line.at > SHORT[0] + timedelta(minutes=30)
        return (
            msgspec.structs.replace(line, name="gone") if line.name == "quotes" and late else line
        )

    found = rerun(life_of(changed(source, tmp_path / "000001.jsonl.gz", without_late_quotes)))
    assert all("quotes SPY" in what for what in found.unanswered)
    assert len(found.unanswered) >= 10
    assert any(one.replayed == "none" for one in found.divergences)
    assert "asked, but not on the tape: 2020-12-15 16:0" in "\n".join(rerun_text("tape", found))


def test_a_tape_that_a_crash_cut_off_is_read_as_far_as_it_goes(
    tapes: tuple[Path, Run], tmp_path: Path
) -> None:
    [source] = files_of(tapes[0])
    cut = tmp_path / "000001.jsonl.gz"
    cut.write_bytes(source.read_bytes()[:-1500])
    whole, part = read_tape(source)[1], read_tape(cut)[1]
    assert 100 < len(part) < len(whole)
    assert part == whole[: len(part)]


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b'{"no": "line"}\n')], ids=["empty", "raw", "odd"]
)
def test_what_is_no_tape_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "000001.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        read_tape(path)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="holds no recording"):
        list(rerun_recorded(tmp_path, None, {}))


def test_each_life_has_a_file_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        Tape(tmp_path).close()
    assert [file.name for file in files_of(tmp_path)] == ["000001.jsonl.gz", "000002.jsonl.gz"]


def test_a_full_disk_ends_the_recording_not_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(tmp_path)

    def full(_: bytes) -> int:
        raise OSError(28, "No space left on device")

    assert tape._file is not None
    monkeypatch.setattr(tape._file, "write", full)
    line = Line(at=SHORT[0], kind="command", monotonic=0.0)
    tape.write(line)
    tape.write(line)
    tape.close()


def test_a_strategy_keeps_its_exact_numbers() -> None:
    [strategy, *_] = script().strategies
    odd = replace(strategy, parameters={"a": Decimal("0.10"), "b": 3, "c": "x", "d": True})
    assert Known.of(odd).strategy() == odd


async def test_an_error_is_noted_and_raised_on(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    clock = StandingClock()

    class Away:
        async def account(self) -> None:
            raise Unavailable("nobody there")

    notes = Notes(tape, clock)
    venue = CapturedVenue(Away(), notes)  # type: ignore[arg-type]  # one call of it
    async with notes.turns.live("engine"):
        with pytest.raises(Unavailable):
            await venue.account()
    tape.close()
    asked, called = gzip.decompress(tape.path.read_bytes()).splitlines()
    assert msgspec.json.decode(asked, type=Line).kind == "asked"
    line = msgspec.json.decode(called, type=Line)
    assert (line.name, line.error, line.text) == ("account", "Unavailable", "nobody there")


class StandingClock:
    """Always the same moment."""

    def now(self) -> Any:
        return SHORT[0]

    def monotonic(self) -> float:
        return 0.0

    async def sleep_until(self, when: object) -> None:
        raise AssertionError(when)
