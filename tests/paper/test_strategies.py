from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradesaga.domain.errors import Invalid
from tradesaga.paper.strategies import default_strategies, load_strategies


def problems_of(folder: Path, text: str) -> list[str]:
    path = folder / "s.yaml"
    path.write_text(text)
    with pytest.raises(Invalid) as refused:
        load_strategies(path)
    return list(refused.value.problems)


def test_the_defaults_are_plain_complete_and_accepted_back(tmp_path: Path) -> None:
    plain = default_strategies(["SPY", "BAC"])
    assert [entry["symbols"] for entry in plain] == [["BAC", "SPY"]] * 3
    path = tmp_path / "s.json"
    path.write_text(json.dumps(plain))
    assert load_strategies(path) == plain


def test_a_file_may_give_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("- {name: mine, type: breakout, symbols: [SPY], parameters: {period: 30}}")
    (found,) = load_strategies(path)
    assert found["parameters"]["period"] == 30
    assert found["parameters"]["exit_period"] == 20


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- [", "is neither YAML nor JSON"),
        ("{}", "must be a list of strategies"),
        ("[1]", "s.yaml[0]: is no mapping; give name, type"),
        ("[{type: breakout, symbols: [SPY]}]", "s.yaml[0].name: missing"),
        ("[{name: a, type: magic, symbols: [SPY]}]", 's.yaml[0].type: "magic" is no rule; choose'),
        ("[{name: a, type: breakout, symbols: []}]", "s.yaml[0].symbols: must be a list"),
        ("[{name: a, type: breakout, symbols: [SPY], size: 1}]", "s.yaml[0].size: unknown field"),
        ("[{name: a, type: breakout, symbols: [SPY], parameters: {fast: 1}}]",
         "s.yaml[0].parameters.fast: unknown; breakout knows period"),
        ("[{name: a, type: breakout, symbols: [SPY], parameters: {period: .nan}}]",
         "s.yaml[0].parameters.period: nan is not from 2 to 1000"),
        ("[{name: a, type: breakout, symbols: [SPY], parameters: {period: 2.5}}]",
         "s.yaml[0].parameters.period: 2.5 is not whole"),
        ("[{name: a, type: sma_crossover, symbols: [SPY], parameters: {fast: 60}}]",
         "s.yaml[0].parameters.fast: must be below slow (60)"),
        ("[{name: a, type: rsi_mean_reversion, symbols: [SPY], parameters: {recovered: 20}}]",
         "s.yaml[0].parameters.oversold: must be below recovered (20.0)"),
    ],
)  # fmt: skip
def test_a_bad_definition_is_refused_by_field_and_remedy(
    tmp_path: Path, text: str, problem: str
) -> None:
    (found,) = problems_of(tmp_path, text)
    assert problem in found


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "[{name: a, type: magic, symbols: [SPY]}, {name: b, type: breakout, symbols: 1}]"
    assert len(problems_of(tmp_path, text)) == 2
