"""The recorded days come out as `tradesaga up --paper` plays them, every time to the last byte."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from tests.replay.scripts import SHORT, figures, log_of, script
from tradesaga.adapters.postgres.audit import check_lines
from tradesaga.bootstrap.replaying import journal_lines
from tradesaga.bootstrap.scripting import edge_of
from tradesaga.domain.cycle import Cycle, CycleType
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid
from tradesaga.domain.orders import Order
from tradesaga.paper.clock import SETTLEMENT
from tradesaga.replay.identities import SeededIds
from tradesaga.replay.playing import play


@pytest.mark.timeout(180)
def test_the_four_sessions_come_out_as_on_real_servers() -> None:
    # `tradesaga up --paper --exit-at-end --speed 600` with the same defaults: 64 filled, +25.74
    run = play(script(None, None))
    found = figures(run)
    assert found.complaints == []
    assert found.orders == {"filled": 64}
    assert found.fills == {"buy": 32, "sell": 32}
    assert (found.profit, found.equity) == (Decimal("25.74"), Decimal("100025.74"))
    assert found.cycles["analysis completed"] == 4 * 389
    assert [point.at.minute for point in found.curve[:2]] == [31, 32]
    check = check_lines(journal_lines(run), {})
    assert check.faults == []
    assert (check.rows, check.head.hash.hex()) == (found.log_entries, found.log_hash)


def command(tmp_path: Path, hash_seed: str, *more: str) -> tuple[bytes, bytes, str]:
    """Log, report and text of the command, run in a process of its own."""
    place = tmp_path / hash_seed
    place.mkdir()
    begin, end = (moment.isoformat() for moment in SHORT)
    tokens = ["replay", "--from", begin, "--to", end, *more]
    tokens += ["--journal", str(place / "log.jsonl"), "--json", str(place / "report.json")]
    done = subprocess.run(
        [sys.executable, "-m", "tradesaga", *tokens],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    log, report = (place / name for name in ("log.jsonl", "report.json"))
    return log.read_bytes(), report.read_bytes(), done.stdout


@pytest.mark.timeout(120)
def test_processes_agree_on_every_byte_and_a_seed_changes_them(tmp_path: Path) -> None:
    log, report, text = command(tmp_path, "1")
    again, report_again, _ = command(tmp_path, "2")
    assert (log, report) == (again, report_again)
    assert log == log_of(script())
    other, _, _ = command(tmp_path, "3", "--seed", "2")
    assert other != log
    said = msgspec.json.decode(report)
    assert said["orders"] == {"filled": len(said["orderList"])}
    assert said["logHash"] in text
    assert "x real" in text


def test_chance_from_outside_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, end = SHORT[0], SHORT[0] + timedelta(minutes=5)
    monkeypatch.setattr(SeededIds, "uuid7", lambda *_: uuid4())
    assert log_of(script(begin, end)) != log_of(script(begin, end))


def test_a_changed_line_of_the_log_is_found() -> None:
    lines = list(journal_lines(play(script(SHORT[0], SHORT[0] + timedelta(minutes=5)))))
    changed = [line.replace(b'"epoch":1', b'"epoch":2') if n == 7 else line
               for n, line in enumerate(lines, start=1)]  # fmt: skip
    assert [fault.seq for fault in check_lines(changed, {}).faults] == [7]


def test_a_part_knows_what_was_recorded_before_it_and_nothing_of_what_comes() -> None:
    whole, part = play(script(SHORT[0] - timedelta(minutes=30))), play(script())
    agent_id = part.script.settings.agent_id
    asked = {d.as_of: d.reasoning for d in whole.store.of(Decision, agent_id)}
    found: list[Decision] = part.store.of(Decision, agent_id)
    cycles = [c for c in part.store.of(Cycle, agent_id) if c.type is CycleType.ANALYSIS]
    assert SHORT[0] <= cycles[0].scheduled_at <= cycles[-1].scheduled_at <= SHORT[1] + SETTLEMENT
    assert len(found) == 3 * len(cycles)
    assert not any("warming up" in decision.reasoning for decision in found)
    assert {decision.as_of for decision in found} <= asked.keys()


def test_every_fill_is_after_the_bar_that_was_decided_on() -> None:
    run = play(script())
    orders: list[Order] = run.store.of(Order, run.script.settings.agent_id)
    assert orders
    bars = run.script.market.recording.bars["SPY"]
    for order in orders:
        minute = bars.in_minute(int(order.created_at.timestamp()) // 60)
        assert minute is not None
        assert order.average_price is not None
        assert abs(order.average_price - minute.open) <= Decimal("0.02")


def test_limits_hold_here_too() -> None:
    tight = {"ORCHESTRATOR__RISK__ORDERSPERDAY": "1", "ORCHESTRATOR__RISK__ORDERSPERMINUTE": "1"}
    found = figures(play(script(environment=tight)))
    assert found.fills["buy"] == 1
    assert found.decisions["buy denied"] == found.blocks["ORDER_RATE"]


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        (None, None),
        ("2020-12-15", datetime(2020, 12, 15, tzinfo=UTC).date()),
        ("2020-12-15T15:00:00Z", datetime(2020, 12, 15, 15, tzinfo=UTC)),
    ],
)
def test_edges(text: str | None, edge: object) -> None:
    assert edge_of(text, "--from") == edge


@pytest.mark.parametrize("text", ["today", "2020-13-01", "2020-12-15T15:00:00", ""])
def test_an_edge_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"--to: .* is no day and no moment"):
        edge_of(text, "--to")


def test_a_time_without_minutes_is_refused() -> None:
    with pytest.raises(Invalid, match="the data has 2020-12-15 to 2020-12-18"):
        script(datetime(2021, 1, 1, tzinfo=UTC), None)
