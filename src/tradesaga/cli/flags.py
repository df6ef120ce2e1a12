"""Flags that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from tradesaga.paper.settings import Dialect

ConfigFile = Annotated[
    Path | None, Parameter(name=["--config", "-c"], env_var="TRADESAGA_CONFIG", show_env_var=True)
]
"""The YAML file of settings."""
Output = Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])]
Data = Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())]
"""Files and folders of recorded minutes."""
PageSize = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1000))]
"""How many things a page of a list may have."""
Speed = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=1_000_000))]
Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65_535))]
Governor = Annotated[
    bool,
    Parameter(help="Hold time until the agent has finished its cycle, a second at most."),
]
Spoken = Annotated[
    Dialect,
    Parameter(help="Neighbours as specified, or as the platform's real services behave."),
]
