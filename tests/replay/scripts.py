"""Short scripts on the recorded sessions, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from tradesaga.bootstrap.replaying import journal_lines
from tradesaga.bootstrap.scripting import Edge, ScriptOptions, configuration, script_of
from tradesaga.replay.figures import Figures, figures_of
from tradesaga.replay.playing import Run, Script, play

DAY = date(2020, 12, 15)
SHORT = datetime(2020, 12, 15, 15, 35, tzinfo=UTC), datetime(2020, 12, 15, 16, 15, tzinfo=UTC)
"""40 minutes in which strategies buy and sell."""


def script(
    begin: Edge | None = SHORT[0],
    end: Edge | None = SHORT[1],
    *,
    seed: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Script:
    """A script with the default strategies."""
    options = ScriptOptions(begin=begin, end=end, seed=seed)
    return script_of(options, configuration(options, environment or {}).settings)


def figures(run: Run) -> Figures:
    """Its figures, under some configuration."""
    return figures_of(run, config_hash="test")


def log_of(script: Script) -> bytes:
    """The log of a replay, as the command writes it."""
    return b"".join(journal_lines(play(script)))
