"""`--record`: the tape of one life, which is that of the default agent alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from structlog import get_logger

from tradesaga import __version__
from tradesaga.config import Settings, wire_values
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.ids import AgentId
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.world import World
from tradesaga.replay.capture import note_beginning
from tradesaga.replay.notes import Notes
from tradesaga.replay.tape import Tape
from tradesaga.replay.turns import TurnTaking

log = get_logger()


class RecordingLoop(TurnTaking, uvloop.Loop):  # type: ignore[misc]  # as uvloop's own stubs
    """The loop of a life that is recorded."""


async def begun_tape(
    world: World,
    settings: Settings,
    directory: Path | None,
    strategies: Sequence[Strategy],
    identity: Identity,
    stack: AsyncExitStack,
) -> Notes | None:
    """Where to note the life, what it begins with noted; None without a directory.

    `stack` closes it. Raises Invalid for a directory that takes none.
    """
    if directory is None:
        return None
    tape = Tape(directory)
    stack.callback(tape.close)
    notes = Notes(tape, world.clock)
    await note_beginning(
        notes,
        world,
        AgentId(settings.agent.id),
        version=__version__,
        settings=wire_values(settings),
        configured=strategies,
        identity=identity,
    )
    log.info("recording", path=str(tape.path))
    return notes
