"""What persons ordered a recorded life to do, ordered again in its turn.

Each command is given whether or not the one before it has been answered. What became of it then
and now is compared. Not given again: what found the orchestrator unavailable or the thing at
another version, which had no effect then; old rows archived and letters thrown away, which have no
effect on trading. Named as a difference: a letter that was handled once more, and what only
another version knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from tradesaga.domain.errors import TradesagaError
from tradesaga.engine.agent_control import AgentControl
from tradesaga.replay.commands import COMMANDS, Command, ports_of
from tradesaga.replay.divergence import Divergence
from tradesaga.replay.tape import Line
from tradesaga.replay.telling import Telling
from tradesaga.replay.turns import inside

DONE: Final = "done"
WITHOUT_EFFECT: Final = ("Unavailable", "Stale")
NO_PART_OF_TRADING: Final = ("retention.run_once", "dead_letters.discard")
LETTERS: Final = "dead_letters.replay"


class Commands:
    """The commands of one life; `divergences` are those that came out differently."""

    def __init__(self, telling: Telling, lines: Sequence[Line]) -> None:
        self._telling = telling
        self._outcomes = {line.code: line for line in lines if line.kind == "outcome"}
        self.divergences: list[Divergence] = []

    def come(self, line: Line, control: AgentControl, group: asyncio.TaskGroup) -> None:
        """It is its turn."""
        outcome = self._outcomes.get(line.code)
        if line.name in NO_PART_OF_TRADING or _said(outcome) in WITHOUT_EFFECT:
            return
        command = COMMANDS.get(line.name)
        if command is None or line.name == LETTERS:
            self._note(line, _said(outcome) or "given", "not known to the replay")
            return
        group.create_task(self._give(control, command, line, outcome), name=line.name)

    async def _give(
        self, control: AgentControl, command: Command, line: Line, outcome: Line | None
    ) -> None:
        port, _, method = line.name.partition(".")
        order = getattr(ports_of(control)[port], method)
        with inside(self._telling, f"command {line.code}"):
            try:
                await order(**command.read(line.body))
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
