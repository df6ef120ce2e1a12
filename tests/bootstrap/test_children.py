"""How our own processes are called: what they need, and no secret where everybody can read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tradesaga.bootstrap.children import Api, Neighbours, Replay, paper_program, serve_program
from tradesaga.bootstrap.databases import OtherNats, OtherPostgres, plan
from tradesaga.config import ClientOrderIds, load
from tradesaga.embedded.program import Program

SECRETS = {"DB_PASSWORD": "hunter2", "NATS_TOKEN": "s3cr3t"}
ENVIRONMENT = {
    "DB_HOST": "db.test",
    "DB_PORT": "5432",
    "NATS_URL": "nats://bus.test:4222",
    "ORCHESTRATOR__EVENTBUS__PUBLISHPREFIX": "my.platform.orchestrator",
    **SECRETS,
}
API = Api(host="127.0.0.1", port=3005, allow_remote=False)


def programs(state_dir: Path, strategies: Path | None = None) -> tuple[Program, Program]:
    settings = plan(None, ENVIRONMENT, {}).loaded.settings
    replay = Replay(
        data=[state_dir / "a.csv", state_dir / "b.csv"],
        symbols=("QQQ", "SPY"),
        speed=600.0,
        governor=True,
        neighbours=Neighbours(
            directory=state_dir / "paper",
            trading_engine_port=1,
            ai_decision_port=2,
            market_data_port=3,
        ),
    )
    bus = OtherNats(settings)
    return (
        paper_program(state_dir, replay, strategies, bus, settings, ENVIRONMENT),
        serve_program(
            state_dir, API, OtherPostgres(settings), bus, replay, strategies, None, ENVIRONMENT
        ),
    )


def environment_of(program: Program) -> Mapping[str, str]:
    return program._env()  # what it will be spawned with


def test_secrets_go_by_environment_alone(tmp_path: Path) -> None:
    for program in programs(tmp_path):
        words = " ".join(program.argv)
        assert not [secret for secret in SECRETS.values() if secret in words]
        assert environment_of(program)["NATS_TOKEN"] == SECRETS["NATS_TOKEN"]


def test_the_orchestrator_finds_the_neighbours_and_knows_what_they_can(tmp_path: Path) -> None:
    _, serve = programs(tmp_path)
    services = load(None, environment_of(serve)).settings.services
    assert services.trading_engine.url == "http://127.0.0.1:1"
    assert services.trading_engine.client_order_id is ClientOrderIds.HONOURED
    assert services.ai_decision.url == "http://127.0.0.1:2"
    assert services.market_data.url == "http://127.0.0.1:3"
    assert "--default-strategies-for QQQ,SPY" in " ".join(serve.argv)
    assert f"--market-clock {tmp_path}/paper/market-clock" in " ".join(serve.argv)


def test_the_neighbours_play_the_same_data_on_the_same_subjects(tmp_path: Path) -> None:
    paper, _ = programs(tmp_path)
    words = " ".join(paper.argv)
    assert words.endswith(f"--data {tmp_path}/a.csv {tmp_path}/b.csv")
    assert "--subject-prefix my.platform " in words
    assert "--speed 600.0 " in words


def test_a_file_of_strategies_reaches_both(tmp_path: Path) -> None:
    for program in programs(tmp_path, tmp_path / "s.yaml"):
        assert f"--strategies {tmp_path}/s.yaml" in " ".join(program.argv)
        assert "--default-strategies-for" not in program.argv


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3005"),
        ("0.0.0.0", "http://127.0.0.1:3005"),
        ("::", "http://[::1]:3005"),
        ("::1", "http://[::1]:3005"),
        ("box.test", "http://box.test:3005"),
    ],
)
def test_the_address_at_which_an_api_is_reached(host: str, url: str) -> None:
    assert Api(host=host, port=3005, allow_remote=True).url == url


def test_the_orchestrator_records_only_if_told(tmp_path: Path) -> None:
    _, plain = programs(tmp_path)
    assert "--record" not in plain.argv
    settings = plan(None, ENVIRONMENT, {}).loaded.settings
    recording = serve_program(
        tmp_path,
        API,
        OtherPostgres(settings),
        OtherNats(settings),
        None,
        None,
        None,
        ENVIRONMENT,
        record=tmp_path / "tapes",
    )
    assert recording.argv[-2:] == ("--record", str(tmp_path / "tapes"))
