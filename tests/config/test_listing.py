"""What is shown of the settings, what is masked, and what the hash covers."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tradesaga.config import Loaded, Secret, as_json, load, render
from tradesaga.domain.errors import Invalid

SERVERS = {"DB_HOST": "h", "DB_PORT": "5432", "NATS_URL": "nats://user:hunter2@h:4222"}
SECRETS = SERVERS | {"DB_PASSWORD": "hunter2", "NATS_TOKEN": "hunter2"}


@pytest.fixture
def loaded() -> Loaded:
    return load(None, SECRETS)


def test_a_line_per_key_with_its_origin(loaded: Loaded) -> None:
    lines = render(loaded).splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert rows["orchestrator.server.port"].split() == [
        "orchestrator.server.port",
        "3005",
        "default",
    ]
    assert rows["orchestrator.database.host"].split()[1:] == ["h", "environment", "DB_HOST"]
    assert rows["orchestrator.trading.marketHoursOnly"].split()[1] == "true"
    assert rows["orchestrator.trading.preMarketStart"].split()[1] == "04:00"
    assert rows["orchestrator.risk.profiles.conservative.priceDriftPercent"].split()[1] == "0.5"
    assert rows["orchestrator.eventBus.subscriptions[3]"].split()[1] == "ai-trader.ai.decision.*"
    assert len(lines) == len(loaded.origins) + 3 + 1 + 1  # four subscriptions; two days; the hash
    columns = {
        line.rindex(loaded.origins["server.port"]) for line in lines if "default" in line[-7:]
    }
    assert len(columns) == 1


def test_secrets_are_masked_everywhere(loaded: Loaded) -> None:
    assert loaded.settings.database.password.reveal() == "hunter2"
    shown = [
        render(loaded),
        json.dumps(as_json(loaded)),
        repr(loaded.settings.database),
        f"{loaded.settings.event_bus.token} {loaded.settings.event_bus.token!r}",
        f"{loaded.settings.event_bus.token:>3}",
    ]
    for text in shown:
        assert "hunter2" not in text
        assert "***" in text


def test_secrets_are_masked_in_problems(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "orchestrator:\n"
        "  database: {password: '${DB_PASSWORD:hunter2}'}\n"
        "  eventBus: {url: 'http://u:hunter2@h', token: [hunter2]}\n"
        "  services: 'http://u:hunter2@h'\n",
        encoding="utf-8",
    )
    with pytest.raises(Invalid) as caught:
        load(path, SERVERS)
    assert len(caught.value.problems) == 4
    assert "hunter2" not in str(caught.value)


def test_json_is_a_file_of_settings_again(loaded: Loaded, tmp_path: Path) -> None:
    shown = as_json(loaded)
    assert set(shown) == {"orchestrator", "origins", "hash"}
    path = tmp_path / "again.yaml"
    path.write_text(json.dumps({"orchestrator": shown["orchestrator"]}), encoding="utf-8")
    again = load(path, {}, {"database.password": "hunter2", "eventBus.token": "hunter2"})
    assert again.hash == loaded.hash


def test_the_hash_is_of_the_meaning(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("orchestrator: {risk: {buyingPowerReservePercent: '1.00'}}", encoding="utf-8")
    assert load(path, SERVERS).hash == loaded.hash  # other source, notation and secrets
    assert load(None, SECRETS, {"server.port": "3006"}).hash != loaded.hash
    assert len(loaded.hash) == 64


def test_settings_are_frozen(loaded: Loaded) -> None:
    with pytest.raises(FrozenInstanceError):
        loaded.settings.server.port = 1  # type: ignore[misc] # the point of the test
    with pytest.raises(TypeError):
        loaded.origins["server.port"] = "x"  # type: ignore[index] # the point of the test


def test_a_secret_is_true_when_set() -> None:
    assert Secret("x")
    assert not Secret()
    assert Secret("x") == Secret("x") != Secret("y")
