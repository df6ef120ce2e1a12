"""Flag over environment over file over default, and where each value says it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradesaga.config import load
from tradesaga.domain.errors import Invalid

SERVERS = {"DB_HOST": "h", "DB_PORT": "5432", "NATS_URL": "nats://h:4222"}
PORT = "orchestrator:\n  server:\n    port: 1000\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(PORT, encoding="utf-8")
    return path


def test_each_source_wins_over_the_one_before(file: Path) -> None:
    environment = SERVERS | {"ORCHESTRATOR__SERVER__PORT": "2000"}
    steps = [
        (load(None, SERVERS), 3005, "default"),
        (load(file, SERVERS), 1000, f"file {file}:3"),
        (load(file, environment), 2000, "environment ORCHESTRATOR__SERVER__PORT"),
        (load(file, environment, {"server.port": "3000"}), 3000, "flag"),
    ]
    for loaded, port, origin in steps:
        assert loaded.settings.server.port == port
        assert loaded.origins["server.port"] == origin


def test_a_wrong_value_that_is_overridden_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("orchestrator: {server: {port: none}}", encoding="utf-8")
    assert load(path, SERVERS, {"server.port": "1"}).settings.server.port == 1


def test_variables_below_overridden_keys_may_be_missing() -> None:
    servers = {"database.host": "h", "database.port": "1", "eventBus.url": "nats://h"}
    assert load(None, {}, servers).settings.database.port == 1


def test_missing_variables_are_all_reported() -> None:
    with pytest.raises(Invalid) as caught:
        load(None, {})
    assert [line.split(" is not set")[0] for line in caught.value.problems] == [
        "orchestrator.database.host: the variable DB_HOST",
        "orchestrator.database.port: the variable DB_PORT",
        "orchestrator.eventBus.url: the variable NATS_URL",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ORCHESTRATOR__CYCLES__ANALYSIS__MAXCONCURRENT",
        "orchestrator__cycles__analysis__maxConcurrent",
        "Orchestrator__Cycles__ANALYSIS__maxconcurrent",
    ],
)
def test_environment_names_are_matched_without_case(name: str) -> None:
    assert load(None, SERVERS | {name: "7"}).settings.cycles.analysis.max_concurrent == 7


@pytest.mark.parametrize(
    ("variable", "part"),
    [
        ("ORCHESTRATOR__TYPO", "'TYPO' is unknown"),
        ("ORCHESTRATOR__SERVER__PRT", "did you mean port?"),
        ("ORCHESTRATOR__SERVER", "ORCHESTRATOR__SERVER__PORT"),
        ("ORCHESTRATOR__SERVER__PORT__X", "drop the last part"),
        ("ORCHESTRATOR__", "'' is unknown"),
    ],
)
def test_environment_names_of_no_key_are_refused(variable: str, part: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(None, SERVERS | {variable: "1"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable}: ")
    assert part in problem


def test_other_variables_are_left_alone() -> None:
    other = {"ORCHESTRATOR_PORT": "tcp://1", "ORCHESTRATOR": "x", "SERVER__PORT": "9"}
    assert load(None, SERVERS | other).settings == load(None, SERVERS).settings


def test_one_key_set_by_two_spellings_is_refused() -> None:
    twice = {"ORCHESTRATOR__LEASE__TTL": "3000", "orchestrator__lease__ttl": "4000"}
    with pytest.raises(Invalid, match="set twice"):
        load(None, SERVERS | twice)


@pytest.mark.parametrize("path", ["server.prt", "server", "", "orchestrator.server.port"])
def test_overrides_of_no_key_are_refused(path: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(None, SERVERS, {path: "1"})
    assert len(caught.value.problems) == 1


def test_text_from_outside_is_read_as_the_kind_of_its_key() -> None:
    environment = SERVERS | {
        "ORCHESTRATOR__TRADING__MARKETHOURSONLY": "False",
        "ORCHESTRATOR__EVENTBUS__SUBSCRIPTIONS": '["a.b", "c.>"]',
        "ORCHESTRATOR__RISK__PROFILES__NORMAL__PRICEDRIFTPERCENT": "0.25",
        "ORCHESTRATOR__DATABASE__PASSWORD": "p${a}ss",
    }
    settings = load(None, environment).settings
    assert settings.trading.market_hours_only is False
    assert settings.event_bus.subscriptions == ("a.b", "c.>")
    assert str(settings.risk.profiles.normal.price_drift_percent) == "0.25"
    assert settings.database.password.reveal() == "p${a}ss"  # a dollar from outside is a dollar


def test_the_origin_of_a_substituted_value_is_its_variables(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "orchestrator:\n"
        "  database: {host: '${A:-a}', port: '${B}'}\n"
        "  eventBus: {url: 'nats://${A}:${B}'}\n",
        encoding="utf-8",
    )
    origins = load(path, SERVERS | {"A": "", "B": "1"}, {"eventBus.url": "nats://h"}).origins
    assert origins["database.host"] == f"file {path}:2"  # the default within the text was used
    assert origins["database.port"] == "environment B"
    origins = load(path, SERVERS | {"A": "x", "B": "1"}).origins
    assert origins["eventBus.url"] == "environment A, B"
