"""Where `tradesaga verify` looks, what time it goes by, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT, change
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.bootstrap import databases, verifying
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.bootstrap.verifying import Venue, Verification, VerifyOptions, circumstances
from tradesaga.cli import verify as command
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market_clock import MarketClock, micros_of
from tradesaga.ports.journal import Insert
from tradesaga.ports.records import Invariant

THERE = {"DB_HOST": "db.test", "DB_PORT": "5432", "NATS_URL": "nats://bus.test:4222"}
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOLDS = Invariant(
    name="I4_positions",
    description="every sum is that of its fills",
    violations=0,
    sample=[],
    looked_at=1234,
    remedy="compare",
)
BROKEN = replace(HOLDS, violations=2, sample=[{"symbol": "SPY", "held": None}])
SKIPPED = replace(HOLDS, name="I13_rate", looked_at=None, skipped="not given")


def played(state_dir: Path, *, rate: int = 60) -> datetime:
    """A state directory in which a replay was played, its time held; that time."""
    (state_dir / "paper").mkdir()
    (state_dir / "paper" / "paper.sqlite3").touch()
    ports = {"postgres": 25432, "paper_trading_engine": 23004}
    (state_dir / "ports.json").write_text(json.dumps(ports))
    at = micros_of(NOW)
    mapping = MarketClock(
        anchor_real_ns=0, anchor_market_us=at, rate_milli=rate * 1000, limit_us=at
    )
    (state_dir / "paper" / "market-clock").write_bytes(mapping.pack(1))
    return NOW


def test_a_replay_tells_where_everything_is(tmp_path: Path) -> None:
    played(tmp_path)
    found = verifying.system_of(VerifyOptions(state_dir=tmp_path), {})
    assert found.dsn.startswith("postgresql://tradesaga@/ai_trader?host=")
    assert found.dsn.endswith("&port=25432")
    assert found.venue == Venue(url="http://127.0.0.1:23004", start_cash=START_CASH)
    assert found.market_clock == tmp_path / "paper" / "market-clock"


def test_servers_that_the_environment_names_come_first(tmp_path: Path) -> None:
    found = verifying.system_of(VerifyOptions(), THERE)
    assert "db.test" in found.dsn
    assert found.venue.start_cash is None
    assert found.market_clock is None
    played(tmp_path)
    options = VerifyOptions(state_dir=tmp_path, venue_url="http://venue.test/")
    found = verifying.system_of(options, THERE)  # the neighbours of a replay may be here still
    assert "db.test" in found.dsn
    assert found.venue.url == "http://venue.test"
    assert found.market_clock is not None


def test_a_directory_without_a_system_is_no_system(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--state-dir"):
        verifying.system_of(VerifyOptions(state_dir=tmp_path), {})


def test_a_replay_tells_its_own_time_and_pace(tmp_path: Path) -> None:
    at = played(tmp_path, rate=600)
    clock = tmp_path / "paper" / "market-clock"
    assert verifying._time(clock) == (at, 600.0)
    now, pace = verifying._time(None)
    assert pace == 1.0
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    for wrong in (tmp_path / "none", tmp_path / "ports.json"):
        with pytest.raises(Unavailable):
            verifying._time(wrong)


async def test_circumstances_come_from_configuration_clock_and_orders(
    database_dsn: str, tmp_path: Path
) -> None:
    at = played(tmp_path)
    options = VerifyOptions(state_dir=tmp_path)
    system = verifying.system_of(options, {})
    settings = databases.plan(None, {}, {}).loaded.settings
    async with running(database_dsn) as parts:
        pool = ReaderPool(parts.dsn, schema=SCHEMA)
        given = await circumstances(system.settings, system.market_clock, pool, AGENT)
        assert (given.now, given.pace) == (at, 60.0)
        assert given.orders_per_minute == settings.risk.orders_per_minute
        assert given.orders_per_day == settings.risk.orders_per_day
        fill_time = settings.sagas.trade_execution.fill_timeout
        assert given.patience == fill_time * (1 + settings.sagas.trade_execution.retries)
        order = replace(values.trade().order, created_at=at - timedelta(days=365))
        await parts.journal.commit(change(Insert(order)))
        longer = await circumstances(system.settings, system.market_clock, pool, AGENT)
        assert longer.sessions[0][0] <= order.created_at  # the calendar reaches the first order
        await pool.close()


async def test_a_schema_that_is_not_up_to_date_is_refused(database_dsn: str) -> None:
    await verifying.refuse_old_schema(database_dsn, "orchestration")
    with pytest.raises(Invalid, match="tradesaga migrate up"):
        await verifying.refuse_old_schema(database_dsn, "elsewhere")


def verified(name: str, *invariants: Invariant, unreachable: str = "") -> Verification:
    return Verification(
        agent_id=AGENT,
        name=name,
        checked_at=NOW,
        invariants=invariants,
        unreachable=unreachable,
    )


def test_each_finding_about_one_of_all_agents_names_the_agent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        verified("default", HOLDS),
        verified("second", BROKEN, HOLDS),
        verified("third", HOLDS, unreachable="nobody answers"),
    ]

    async def answer(*_: object) -> Sequence[Verification]:
        return found

    monkeypatch.setattr(command, "check", answer)
    assert command.verify(all_agents=True) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert out.splitlines()[:3] == [
        f"agent default {AGENT}: 1 checked, none broken",
        f"agent second {AGENT}: 2 checked, 1 broken",
        "  I4_positions      1,234 looked at  BROKEN, 2 times",
    ]
    assert out.splitlines()[-2:] == [
        f"agent third {AGENT}: 1 checked, none broken",
        "3 agents: 1 invariants broken",
    ]
    assert err == "tradesaga: agent third: nobody answers\n"
    command.verify(all_agents=True, output="json")
    told = json.loads(capsys.readouterr().out)["agents"]
    assert [(one["name"], one["check"]["broken"]) for one in told] == [
        ("default", 0),
        ("second", 1),
        ("third", 0),
    ]


async def test_all_agents_are_those_that_were_ever_made(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one's broken row is found under its name; the default agent's checks hold."""
    played(tmp_path)
    options = VerifyOptions(state_dir=tmp_path, venue=False, all_agents=True)
    system = verifying.system_of(options, {})
    monkeypatch.setattr(verifying, "system_of", lambda *_: replace(system, dsn=database_dsn))
    own, second = AgentId(system.settings.agent.id), AgentId(UUID(int=0x5EC))
    connection = await asyncpg.connect(database_dsn)
    await connection.execute(
        "insert into orchestration.positions values ($1, 'SPY', 5, 5, 500, 0, 0, 0, now())",
        second,
    )
    await connection.execute(
        "insert into orchestration.accounts "
        "(id, agent_id, name, trading_engine, created_at, created_by, version) "
        "values ($1, $2, 'second', 'http://127.0.0.1:1', now(), 'ann', 1)",
        second,
        own,
    )
    await connection.close()
    default, other = await verifying.verify(options, {})
    assert (default.agent_id, default.broken) == (own, [])
    assert (other.name, other.agent_id) == ("second", second)
    assert [one.name for one in other.broken] == ["I4_positions"]


def test_numbers_are_in_order() -> None:
    names = ["I10_x", "I2_b", "I12_a", "I2_a", "I1_z"]
    found = verifying.in_order([replace(HOLDS, name=name) for name in names])
    assert [one.name for one in found] == ["I1_z", "I2_b", "I2_a", "I10_x", "I12_a"]


@pytest.mark.parametrize(
    ("invariants", "unreachable", "code", "last"),
    [
        ((HOLDS, SKIPPED), "", ExitCode.OK, "1 checked, none broken, 1 not checked"),
        ((BROKEN,), "", ExitCode.FAILED, "1 checked, 1 broken"),
        ((BROKEN,), "away", ExitCode.FAILED, "1 checked, 1 broken"),
        ((HOLDS,), "away", ExitCode.UNREACHABLE, "1 checked, none broken"),
    ],
)
def test_text_and_exit_code(
    invariants: Sequence[Invariant], unreachable: str, code: ExitCode, last: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    async def answer(*_: object) -> Sequence[Verification]:
        return [verified("default", *invariants, unreachable=unreachable)]

    monkeypatch.setattr(command, "check", answer)
    assert command.verify() == code
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == last
    assert err == (f"tradesaga: {unreachable}\n" if unreachable else "")
    assert ("1,234 looked at  BROKEN, 2 times" in out) is (BROKEN in invariants)
    assert ("symbol SPY, held None\n    -> compare" in out) is (BROKEN in invariants)
    assert ("- looked at  not checked: not given" in out) is (SKIPPED in invariants)


def test_json_is_the_shape_of_the_api(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(*_: object) -> Sequence[Verification]:
        return [verified("default", BROKEN)]

    monkeypatch.setattr(command, "check", answer)
    assert command.verify(output="json") == ExitCode.FAILED
    assert json.loads(capsys.readouterr().out) == {
        "checkedAt": "2026-11-20T15:00:00.000000Z",
        "broken": 1,
        "runsSkipped": 0,
        "invariants": [
            {
                "name": "I4_positions",
                "description": "every sum is that of its fills",
                "violations": 2,
                "lookedAt": 1234,
                "money": True,
                "sample": [{"symbol": "SPY", "held": None}],
                "remedy": "compare",
                "skipped": "",
            }
        ],
    }
