"""Strategy definitions: name, rule type, symbols, parameters; the defaults and the file's loader.

Every parameter has a default and a range; an unknown or unusable one is refused with what to do
about it, all problems of a file at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from tradesaga.domain.errors import Invalid

Parameters = Mapping[str, float]


class RuleType(StrEnum):
    """The rules there are."""

    SMA_CROSSOVER = "sma_crossover"
    RSI_MEAN_REVERSION = "rsi_mean_reversion"
    BREAKOUT = "breakout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Default and range of one number; `whole` numbers are counts of bars or minutes."""

    default: float
    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A strategy whose parameters are complete and in range."""

    name: str
    type: RuleType
    symbols: tuple[str, ...]
    parameters: Parameters
    mode: str = "live"


_FOR_ALL = {
    "allocation_percent": Parameter(default=5, low=0.01, high=100),
    "quantity": Parameter(default=10, low=0.0001, high=1e9),
    "stop_loss_percent": Parameter(default=3, low=0.01, high=99),
    "take_profit_percent": Parameter(default=6, low=0.01, high=1000),
    "exit_before_close_minutes": Parameter(default=15, low=0, high=390, whole=True),
}
PARAMETERS: dict[RuleType, dict[str, Parameter]] = {
    RuleType.SMA_CROSSOVER: {
        "fast": Parameter(default=12, low=2, high=500, whole=True),
        "slow": Parameter(default=60, low=3, high=1000, whole=True),
        "gap_percent": Parameter(default=0.01, low=0, high=10),
        **_FOR_ALL,
    },
    RuleType.RSI_MEAN_REVERSION: {
        "period": Parameter(default=14, low=2, high=500, whole=True),
        "oversold": Parameter(default=30, low=1, high=99),
        "recovered": Parameter(default=55, low=1, high=100),
        **_FOR_ALL,
    },
    RuleType.BREAKOUT: {
        "period": Parameter(default=60, low=2, high=1000, whole=True),
        "exit_period": Parameter(default=20, low=2, high=1000, whole=True),
        **_FOR_ALL,
    },
}
_FIELDS = ("name", "type", "symbols", "parameters", "mode")
_MODES = ("live", "shadow")
_TYPES = ", ".join(RuleType)


def default_strategies(symbols: Iterable[str]) -> list[dict[str, Any]]:
    """One strategy of each type over all `symbols`, as plain definitions with all parameters."""
    names = {
        RuleType.SMA_CROSSOVER: "sma-crossover",
        RuleType.RSI_MEAN_REVERSION: "rsi-mean-reversion",
        RuleType.BREAKOUT: "breakout",
    }
    covered = sorted(symbols)
    return [
        {
            "name": names[kind],
            "type": kind.value,
            "symbols": list(covered),
            "parameters": {name: bound.default for name, bound in PARAMETERS[kind].items()},
            "mode": "live",
        }
        for kind in RuleType
    ]


def load_strategies(path: Path) -> list[dict[str, Any]]:
    """The definitions in a YAML or JSON file, with all parameters. Raises Invalid."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid([f"{path}: cannot be read ({error.strerror}); check the path"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid([f"{path}: is neither YAML nor JSON ({error}); correct it"]) from error
    if not isinstance(content, list) or not content:
        raise Invalid([f"{path}: must be a list of strategies, each with {', '.join(_FIELDS)}"])
    problems: list[str] = []
    definitions = definitions_of(content, problems, place=path.name)
    if problems:
        raise Invalid(problems)
    return [
        {
            "name": found.name,
            "type": found.type.value,
            "symbols": list(found.symbols),
            "parameters": dict(found.parameters),
            "mode": found.mode,
        }
        for found in definitions
    ]


def definitions_of(
    content: Iterable[Any], problems: list[str], *, place: str = "strategies"
) -> list[Definition]:
    """Check plain definitions; what is wrong goes to `problems`."""
    found: list[Definition] = []
    names: set[str] = set()
    for number, entry in enumerate(content):
        where = f"{place}[{number}]"
        if not isinstance(entry, Mapping):
            problems.append(f"{where}: is no mapping; give {', '.join(_FIELDS)}")
            continue
        problems.extend(
            f"{where}.{field}: unknown field; known are {', '.join(_FIELDS)}"
            for field in entry
            if field not in _FIELDS
        )
        definition = _definition(entry, where, problems)
        if definition is None:
            continue
        if definition.name in names:
            problems.append(f"{where}.name: {definition.name} is there twice; names are unique")
        names.add(definition.name)
        found.append(definition)
    return found


def _definition(entry: Mapping[str, Any], where: str, problems: list[str]) -> Definition | None:
    before = len(problems)
    name, symbols = entry.get("name"), entry.get("symbols")
    if not isinstance(name, str) or not name.strip():
        problems.append(f"{where}.name: missing; give the strategy a name")
    if (
        not isinstance(symbols, list)
        or not symbols
        or not all(isinstance(symbol, str) and symbol for symbol in symbols)
    ):
        problems.append(f"{where}.symbols: must be a list of symbols such as [SPY]")
    kind = entry.get("type")
    if kind not in list(RuleType):
        problems.append(f'{where}.type: "{kind}" is no rule; choose one of {_TYPES}')
        return None
    parameters = checked(
        RuleType(kind), entry.get("parameters") or {}, problems, place=f"{where}.parameters"
    )
    mode = entry.get("mode", "live")
    if mode not in _MODES:
        problems.append(f'{where}.mode: "{mode}" is no mode; choose one of {", ".join(_MODES)}')
    if len(problems) > before:
        return None
    assert isinstance(symbols, list)
    return Definition(
        name=str(name),
        type=RuleType(kind),
        symbols=tuple(symbols),
        parameters=parameters,
        mode=mode,
    )


def checked(
    kind: RuleType, given: Any, problems: list[str], *, place: str = "parameters"
) -> dict[str, float]:
    """All parameters of the rule, defaults filled in; what is wrong goes to `problems`."""
    known = PARAMETERS[kind]
    values = {name: bound.default for name, bound in known.items()}
    if not isinstance(given, Mapping):
        problems.append(f"{place}: must be a mapping of names to numbers")
        return values
    for name, value in given.items():
        bound = known.get(name)
        if bound is None:
            problems.append(f"{place}.{name}: unknown; {kind} knows {', '.join(known)}")
            continue
        number = _number(value)
        if number is None or not bound.low <= number <= bound.high:
            problems.append(f"{place}.{name}: {value} is not from {bound.low} to {bound.high}")
        elif bound.whole and number != int(number):
            problems.append(f"{place}.{name}: {value} is not whole; it counts bars or minutes")
        else:
            values[name] = number
    if kind is RuleType.SMA_CROSSOVER and values["fast"] >= values["slow"]:
        problems.append(f"{place}.fast: must be below slow ({values['slow']})")
    if kind is RuleType.RSI_MEAN_REVERSION and values["oversold"] >= values["recovered"]:
        problems.append(f"{place}.oversold: must be below recovered ({values['recovered']})")
    return values


def _number(value: Any) -> float | None:
    """A finite number, also one that came as text (decimals of a neighbour); else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
