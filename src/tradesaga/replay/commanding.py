"""What persons ordered a recorded life to do, ordered again at its moments.

Each command is given whether or not the one before it has been answered. What became of it then
and now is compared. Not given again: what found the orchestrator unavailable or the thing at
another version, which had no effect then; old rows archived and letters thrown away, which have no
effect on trading. Named as a difference: a letter that was handled once more, and what only
another version knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from tradesaga.domain.errors import Invalid, TradesagaError
from tradesaga.engine.agent_control import AgentControl
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.commands import COMMANDS, Outcome, ports_of
from tradesaga.replay.divergence import Divergence
from tradesaga.replay.tape import Line

DONE: Final = "done"
WITHOUT_EFFECT: Final = ("Unavailable", "Stale")
NO_PART_OF_TRADING: Final = ("retention.run_once", "dead_letters.discard")
LETTERS: Final = "dead_letters.replay"


class Commands:
    """The commands of one life; `divergences` are those that came out differently."""

    def __init__(self, clock: PlayedClock, lines: Sequence[Line]) -> None:
        self._clock = clock
        self._given = [line for line in lines if line.kind == "command"]
        self._outcomes = {line.code: line for line in lines if line.kind == "outcome"}
        self.divergences: list[Divergence] = []

    async def run(self, control: AgentControl) -> None:
        """Order all of it; returns when the last answer is there."""
        ports = ports_of(control)
        async with asyncio.TaskGroup() as group:
            for line in self._given:
                outcome = self._outcomes.get(line.code)
                if line.name in NO_PART_OF_TRADING or _said(outcome) in WITHOUT_EFFECT:
                    continue
                await self._clock.sleep_until(_moment(line, outcome))
                group.create_task(self._give(control, ports, line, outcome), name=line.name)

    async def _give(
        self, control: AgentControl, ports: Mapping[str, Any], line: Line, outcome: Line | None
    ) -> None:
        command = COMMANDS.get(line.name)
        if command is None or line.name == LETTERS:
            self._note(line, _said(outcome) or "given", "not known to the replay")
            return
        await control.ready.wait()
        port, _, method = line.name.partition(".")
        try:
            await getattr(ports[port], method)(**command.read(line.body))
        except TradesagaError as error:
            now, why = type(error).__name__, str(error)
        else:
            now, why = DONE, ""
        was = _said(outcome)
        if was is not None and was != now:
            told = "" if outcome is None or was == DONE else f": {_text(outcome)}"
            self._note(line, f"{was}{told}", f"{now}: {why}" if why else now)

    def _note(self, line: Line, recorded: str, replayed: str) -> None:
        what = f"command {line.name} of {line.at.isoformat()}"
        self.divergences.append(Divergence(what=what, recorded=recorded, replayed=replayed))


def _said(outcome: Line | None) -> str | None:
    """What became of a command: done, the name of the error, or None if a crash came before."""
    return None if outcome is None else outcome.name or DONE


def _text(outcome: Line) -> str:
    return str(msgspec.json.decode(outcome.body))


def _moment(line: Line, outcome: Line | None) -> datetime:
    """When to give it: the orders that close a strategy bear the moment of the command."""
    if outcome is None or outcome.name:
        return line.at
    try:
        found = msgspec.json.decode(outcome.body, type=Outcome)
    except msgspec.MsgspecError as error:
        raise Invalid([f"an outcome was recorded by another version: {error}"]) from error
    return max(line.at, found.closing_at or line.at)
