"""`tradesaga replay --recorded`: what was recorded, played again and held against the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tradesaga.adapters import logging as log_output
from tradesaga.bootstrap import translation
from tradesaga.bootstrap.identity import identity_of
from tradesaga.bootstrap.scripting import ScriptOptions, configuration, recorded_settings
from tradesaga.config import Settings, shared_digest, wire_values
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Invalid
from tradesaga.replay.divergence import Rerun, settings_that_differ
from tradesaga.replay.rerunning import Life, rerun
from tradesaga.replay.tape import files_of, read_tape


def rerun_recorded(
    directory: Path, config: Path | None, environment: Mapping[str, str]
) -> Iterator[tuple[Path, Rerun]]:
    """Each recorded life with what its replay came to, under the settings that were recorded.

    A `config`, with the environment, takes their place; what differs is named. Raises Invalid.
    """
    settings = None
    if config is not None:
        settings = configuration(ScriptOptions(config=config), environment).settings
    log_output.configure(level="critical", form="text")
    lives = files_of(directory)
    if not lives:
        raise Invalid([f"{directory} holds no recording; make one with `serve --record`"])
    for path in lives:
        yield path, _rerun(path, settings)


def _rerun(path: Path, given: Settings | None) -> Rerun:
    beginning, lines = read_tape(path)
    settings = given or recorded_settings(beginning.settings)
    capabilities = translation.venue_capabilities(settings)
    identity = beginning.identity or Identity()
    if given is not None:
        identity = identity_of(shared_digest(settings))
    engine = replace(translation.engine_settings(settings), identity=identity)
    found = rerun(
        Life(
            beginning=beginning,
            lines=lines,
            settings=engine,
            policy=translation.saga_policy(settings, capabilities),
            capabilities=capabilities,
            calendar=translation.calendar_around(settings, lines[0].at, lines[-1].at),
        )
    )
    changed = list(settings_that_differ(beginning.settings, wire_values(settings)))
    return replace(found, divergences=[*changed, *found.divergences])
