"""The configuration: one YAML file, the environment and flags become one frozen tree.

`load` reports all problems at once; `render` and `as_json` show what is in force and where it
comes from. This package alone reads files of settings and the environment. Paths of keys are
wire names below the root `orchestrator`, as `cycles.analysis.interval`.
"""

from __future__ import annotations

from pathlib import Path

from tradesaga.config.limits import RiskProfile
from tradesaga.config.listing import as_json, render
from tradesaga.config.loading import Loaded, load, process_environment
from tradesaga.config.secret import Secret
from tradesaga.config.services import ClientOrderIds, Dialect, SelfTrading
from tradesaga.config.settings import (
    DEFAULT_AGENT_ID,
    LogFormat,
    LogLevel,
    SecondSource,
    Settings,
    Weekday,
)
from tradesaga.config.values import split_override
from tradesaga.config.wire import shared_digest, wire_values

__all__ = [
    "DEFAULT_AGENT_ID",
    "ClientOrderIds",
    "Dialect",
    "Loaded",
    "LogFormat",
    "LogLevel",
    "RiskProfile",
    "SecondSource",
    "Secret",
    "SelfTrading",
    "Settings",
    "Weekday",
    "as_json",
    "example",
    "load",
    "process_environment",
    "render",
    "shared_digest",
    "split_override",
    "wire_values",
]


def example() -> str:
    """The commented example file, with every key at its default."""
    return Path(__file__).with_name("example.yaml").read_text(encoding="utf-8")
