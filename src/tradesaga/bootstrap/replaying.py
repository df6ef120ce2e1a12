"""`tradesaga replay`: play a script, and write what came of it to the files that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from tradesaga.adapters import logging as log_output
from tradesaga.adapters.chain import GENESIS, event_id_of
from tradesaga.adapters.memory.journal import LoggedEntry
from tradesaga.adapters.system import SystemClock
from tradesaga.bootstrap.scripting import ScriptOptions, configuration, script_of
from tradesaga.config import Loaded, wire_values
from tradesaga.domain.errors import Invalid
from tradesaga.replay.comparison import Comparison, compare
from tradesaga.replay.figures import Figures, Shown, figures_of
from tradesaga.replay.page import page
from tradesaga.replay.playing import Run, play

_encode = msgspec.json.Encoder(decimal_format="number").encode
Share = Callable[[float], object]
"""Told how much has been played, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What to play, and which files to write."""

    script: ScriptOptions
    what_if: Path | None = None
    journal: Path | None = None
    html: Path | None = None
    json: Path | None = None


class WhatIf(Shown, frozen=True, kw_only=True):
    """The JSON report of two runs."""

    baseline: Figures
    what_if: Figures
    changes: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The figures, and the real seconds that the playing took; `other` is the second run."""

    figures: Figures
    seconds: float
    other: Figures | None = None
    changes: Comparison | None = None


def replay(options: ReplayOptions, environment: Mapping[str, str], share: Share) -> Replayed:
    """Play, report. Raises Invalid for what cannot be used, or a file that cannot be written."""
    loaded = configuration(options.script, environment)
    limits, other = options.what_if, None
    if limits is not None:
        other = configuration(options.script, environment, limits=limits)
    log_output.configure(level="warning", form="text")
    clock, parts = SystemClock(), 1 if other is None else 2
    began = clock.monotonic()
    run = _played(options, loaded, lambda played: share(played / parts))
    seconds = clock.monotonic() - began
    done = Replayed(figures=figures_of(run, config_hash=loaded.hash), seconds=seconds)
    if other is not None:
        second = _played(options, other, lambda played: share((1 + played) / parts))
        figures = figures_of(second, config_hash=other.hash)
        done = replace(done, other=figures, changes=_compared(done.figures, figures, loaded, other))
    _write_all(options, run, done)
    return done


def _played(options: ReplayOptions, loaded: Loaded, share: Share) -> Run:
    script = script_of(options.script, loaded.settings)
    return play(script, lambda clock: share(clock.share))


def _compared(first: Figures, second: Figures, before: Loaded, after: Loaded) -> Comparison:
    return compare(
        first,
        second,
        limits_before=wire_values(before.settings),
        limits_after=wire_values(after.settings),
    )


def _write_all(options: ReplayOptions, run: Run, done: Replayed) -> None:
    if options.journal is not None:
        _write(options.journal, b"".join(journal_lines(run)))
    if options.html is not None:
        _write(options.html, page(done.figures, done.other, done.changes).encode())
    if options.json is not None:
        report: Shown = done.figures
        if done.other is not None and done.changes is not None:
            report = WhatIf(baseline=done.figures, what_if=done.other, changes=done.changes)
        _write(options.json, msgspec.json.format(_encode(report)) + b"\n")


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
    event_id = None if row.event_type is None else event_id_of(line.hash)
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


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Invalid([f"{path} cannot be written: {error.strerror}"]) from error
