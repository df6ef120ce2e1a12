"""`tradesaga replay`: play a script, and write what came of it to the files that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tradesaga.adapters import logging as log_output
from tradesaga.adapters.chain import GENESIS, event_id_of
from tradesaga.adapters.memory.journal import LoggedEntry
from tradesaga.adapters.system import SystemClock
from tradesaga.bootstrap.scripting import ScriptOptions, configuration, script_of
from tradesaga.domain.errors import Invalid
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.figures import Figures, figures_of
from tradesaga.replay.playing import Run, play

_encode = msgspec.json.Encoder(decimal_format="number").encode
Share = Callable[[float], object]
"""Told how much has been played, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What to play, and which files to write."""

    script: ScriptOptions
    journal: Path | None = None
    json: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The figures, and the real seconds that the playing took."""

    figures: Figures
    seconds: float


def replay(options: ReplayOptions, environment: Mapping[str, str], share: Share) -> Replayed:
    """Play, report. Raises Invalid for what cannot be used, or a file that cannot be written."""
    loaded = configuration(options.script, environment)
    log_output.configure(level="warning", form="text")
    script, clock = script_of(options.script, loaded.settings), SystemClock()
    began = clock.monotonic()
    run = play(script, lambda played: share(_share(played)))
    seconds = clock.monotonic() - began
    figures = figures_of(run, config_hash=loaded.hash)
    if options.journal is not None:
        _write(options.journal, b"".join(journal_lines(run)))
    if options.json is not None:
        _write(options.json, msgspec.json.format(_encode(figures)) + b"\n")
    return Replayed(figures=figures, seconds=seconds)


def journal_lines(run: Run) -> Iterator[bytes]:
    """The log in the form of `tradesaga audit export`, so that `audit verify --file` reads it."""
    from tradesaga.adapters.postgres.audit import line_of  # noqa: PLC0415 -- loads a driver

    before = GENESIS
    for line in run.store.log_of(run.script.settings.agent_id):
        yield line_of(_columns(line), before)
        before = line.hash


def _columns(line: LoggedEntry) -> dict[str, Any]:
    """The row as the database would give it."""
    row = line.row
    event_id = None if row.event_type is None else event_id_of(line.agent_id, line.seq)
    return {
        "agent_id": line.agent_id,
        "seq": line.seq,
        "at": row.at,
        "epoch": line.epoch,
        "kind": row.kind,
        "subject": row.subject,
        "actor": row.actor,
        "body": row.body,
        "event_type": row.event_type,
        "event_id": event_id,
        "event_payload": row.event_payload,
        "correlation_id": row.correlation_id,
        "causation_id": row.causation_id,
        "hash": line.hash,
    }


def _share(clock: PlayedClock) -> float:
    return clock.share


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Invalid([f"{path} cannot be written: {error.strerror}"]) from error
