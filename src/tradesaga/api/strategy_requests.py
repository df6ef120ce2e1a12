"""The bodies of the commands on a strategy; the engine checks what a type cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tradesaga.domain.strategies import (
    NAME_PATTERN,
    PRIORITY_MAX,
    SYMBOL_PATTERN,
    SYMBOLS_MAX,
    ParameterValue,
)

Name = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN,
        description="1 to 100 letters, digits and . _ -, beginning with a letter or digit",
    ),
]
Type = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{1,50}$",
        description="the decision maker's word for the rule: 1 to 50 letters, digits and _ -",
    ),
]
Symbols = Annotated[
    list[
        Annotated[
            str,
            Meta(
                pattern=SYMBOL_PATTERN,
                description="a symbol: letters, digits and . / _ -, at most 32",
            ),
        ]
    ],
    Meta(
        min_length=1,
        max_length=SYMBOLS_MAX,
        description="a list of 1 to 500 symbols, each once",
    ),
]
RiskMode = Annotated[
    Literal["normal", "conservative", "aggressive"],
    Meta(description="normal, conservative or aggressive"),
]
StrategyMode = Annotated[
    Literal["live", "shadow"],
    Meta(description="live, or shadow: it decides, is scored, and never orders"),
]
Parameters = Annotated[
    dict[str, str | int | float | bool],
    Meta(
        max_length=100,
        description="an object of at most 100 numbers, texts and true or false, by name",
    ),
]
Priority = Annotated[
    int,
    Meta(
        ge=-PRIORITY_MAX,
        le=PRIORITY_MAX,
        description="a whole number from -1000 to 1000; the higher comes first",
    ),
]


class CreateStrategyRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of create; the strategy is stopped unless `active` is true."""

    name: Name
    type: Type
    symbols: Symbols
    risk_mode: RiskMode = "normal"
    parameters: Parameters = {}
    priority: Priority = 0
    mode: StrategyMode = "live"
    active: Annotated[bool, Meta(description="true to let it act from the next cycle on")] = False


class UpdateStrategyRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of update; what is left out stays. `parameters` are replaced as a whole."""

    name: Name | None = None
    symbols: Symbols | None = None
    risk_mode: RiskMode | None = None
    parameters: Parameters | None = None
    priority: Priority | None = None
    mode: StrategyMode | None = None


class ActivateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of activate: there are no fields."""


class DeactivateRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of deactivate."""

    close_positions: Annotated[
        bool, Meta(description="true to close what the strategy holds; by default it is let be")
    ] = False


def exact(parameters: Mapping[str, str | float | bool]) -> dict[str, ParameterValue]:
    """Numbers without binary fractions: the shortest text of the number is what was meant."""
    return {
        name: Decimal(repr(value)) if isinstance(value, float) else value
        for name, value in parameters.items()
    }
