"""Clock answers and verdicts on signatures are on the tape, and come back from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.replay.scripts import script
from tests.replay.test_recorded import life_of, record
from tradesaga.adapters.memory.clock import SharedClock
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import DecisionGenerated
from tradesaga.domain.signed_decisions import Refusal
from tradesaga.engine.world import World
from tradesaga.ports.bus import Bus
from tradesaga.ports.clock import Offset
from tradesaga.replay import rerunning
from tradesaga.replay.rerunning import Life, rerun
from tradesaga.replay.tape import ADMITTED, files_of

SECOND = timedelta(seconds=1)


class Wrong:
    """A clock that is a minute off, and silent once."""

    def __init__(self) -> None:
        self._asked = 0

    async def offset(self) -> Offset:
        self._asked += 1
        if self._asked == 12:
            raise Unavailable("no answer")
        return Offset(ahead=60 * SECOND, doubt=SECOND / 100)


class Doubting:
    """A bus whose reader refuses each third decision and finds the signature of the others good."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._heard = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def deliveries(self) -> AsyncIterator[Any]:
        async for delivery in self._bus.deliveries():
            found: Any = delivery
            content = None if found.incoming is None else found.incoming.content
            if isinstance(content, DecisionGenerated):
                self._heard += 1
                refused = Refusal.FORGED if self._heard % 3 == 0 else None
                judged = replace(content, refused=refused, nonce_key=f"nonce:x:{self._heard}")
                found.incoming = replace(found.incoming, content=judged)
            yield found


def recorded(directory: Path, **ports: Any) -> tuple[Life, list[Decision]]:
    run = record(script(), directory, lambda world: replace(world, **ports))
    return life_of(files_of(directory)[0]), run.store.of(Decision, run.script.settings.agent_id)


def test_the_clocks_answer_as_they_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life, lived = recorded(tmp_path, venue_clock=Wrong(), database_clock=None)
    answers = [line for line in life.lines if line.name == "clock"]
    assert {line.key for line in answers} == {"venue"}
    assert [line.error for line in answers if line.error] == ["Unavailable"]
    assert any(one.denials for one in lived)
    assert rerun(life).divergences == []

    monkeypatch.setattr(rerunning._Rerun, "_other_clock", lambda *_: SharedClock())
    assert rerun(life).divergences


def test_a_decision_that_was_refused_for_its_signature_is_refused_again(tmp_path: Path) -> None:
    def doubting(world: World) -> World:
        return replace(world, bus=Doubting(world.bus))

    record(script(), tmp_path, doubting)
    life = life_of(files_of(tmp_path)[0])
    assert {line.code for line in life.lines if line.kind == "event"} >= {"forged", ADMITTED}
    assert rerun(life).divergences == []

    without = [
        msgspec.structs.replace(line, code="") if line.kind == "event" else line
        for line in life.lines
    ]
    assert rerun(replace(life, lines=without)).divergences
