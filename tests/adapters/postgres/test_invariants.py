"""Every invariant holds on consistent rows, and sees the violation that is planted for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.books import GIVEN, write_books
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, change
from tradesaga.adapters.postgres.queries import load
from tradesaga.domain.orders import OrderStatus
from tradesaga.ports.journal import Insert
from tradesaga.ports.records import Invariant

# What is run against a consistent database, and which invariants must see it.
PLANTED = [
    (
        "alter table sagas drop constraint sagas_agent_id_decision_id_type_key;"
        " update sagas set decision_id = (select min(decision_id::text)::uuid from sagas)",
        {"I1_one_saga_per_decision"},
    ),
    (
        "update orders set saga_id = (select min(saga_id::text)::uuid from orders)",
        {"I1_one_order_per_intent", "I5_known_order", "I6_whole_trades"},
    ),
    ("update orders set venue_order_id = 'V'", {"I1_one_order_per_venue_order"}),
    (
        "alter table orders drop constraint orders_agent_id_client_order_id_key;"
        " update orders set client_order_id = 'C'",
        {"I1_one_order_per_venue_order"},
    ),
    ("update orders set evidence = null", {"I3_evidence"}),
    ("update orders set ended_at = null", {"I3_evidence"}),
    ("update positions set quantity = quantity + 1", {"I4_positions"}),
    ("update positions set sold_value = 1", {"I4_positions"}),
    ("update positions set fees = 0", {"I4_positions"}),
    ("delete from positions", {"I4_positions"}),
    ("update positions set symbol = 'QQQ'", {"I4_positions"}),
    (
        "alter table fills drop constraint fills_agent_id_venue_fill_id_key;"
        " update fills set venue_fill_id = 'V:10'",
        {"I5_fill_once"},
    ),
    ("update orders set filled_quantity = 9", {"I5_order_sums"}),
    ("update orders set quantity = 9", {"I5_order_sums"}),
    ("update orders set filled_value = 1", {"I5_order_sums"}),
    ("update orders set fees = 1", {"I5_order_sums"}),
    ("delete from trades", {"I5_one_trade_per_fill"}),
    ("update trades set price = 1", {"I5_one_trade_per_fill"}),
    ("update trades set fill_id = gen_random_uuid()", {"I5_one_trade_per_fill"}),
    ("update fills set order_id = gen_random_uuid()", {"I5_known_order", "I5_order_sums"}),
    ("update reservations set state = 'open'", {"I6_reservations"}),
    ("update sagas set status = 'running'", {"I6_reservations"}),
    ("delete from sagas", {"I6_reservations"}),
    ("delete from reservations", {"I6_whole_trades"}),
    ("alter table positions add column x double precision", {"I7_exact_columns"}),
    ("alter table positions add column x timestamp", {"I7_exact_columns"}),
    ("update reservations set consumed = consumed - 0.01", {"I7_consumed"}),
    ("update sagas set status = 'compensated'", {"I8_steps"}),
    (
        "update journal_log set body = replace(body, 'completed', 'compensated')",
        {"I8_steps", "I12_chain"},
    ),
    ("delete from journal_log where body like '%pending%'", {"I8_steps"}),
    ("delete from journal_log where body like '%completed%'", {"I8_steps"}),
    (  # the last commit of the one saga begins where no step has ended
        """update journal_log set body = '{"fills": [], "steps":
           [{"from": "compensating", "to": "running"}, {"from": "running", "to": "completed"}]}'
           where kind = 'saga.steps' and body like '%completed%'""",
        {"I8_steps", "I12_chain"},
    ),
    (  # within one commit no step ends where the next begins
        """update journal_log set body = '{"fills": [], "steps":
           [{"from": "running", "to": "compensating"}, {"from": "running", "to": "completed"}]}'
           where kind = 'saga.steps' and body like '%completed%'""",
        {"I8_steps", "I12_chain"},
    ),
    ("update sagas set status = 'manual_required'", {"I9_alerts"}),
    (
        "update sagas set status = 'running', deadline_at = '2026-11-20 15:28Z'",
        {"I9_deadlines"},
    ),
    ("update heads set epoch = 0", {"I10_epochs"}),
    ("update journal_log set epoch = 9 where seq = 2", {"I10_epochs", "I12_chain"}),
    (
        "update journal_log set event_type = 'x' where event_type = 'orchestrator.cycle.started'",
        {"I11_cycle_events", "I12_chain"},
    ),
    (
        "update journal_log set event_type = 'x' where event_type = 'orchestrator.cycle.completed'",
        {"I11_cycle_events"},
    ),
    (
        "insert into relay_marks select agent_id, n, 10 - n, now() from heads,"
        " generate_series(1, 2) n",
        {"I11_publication_order"},
    ),
    ("update journal_log set at = at - interval '9 s'", {"I11_published"}),
    ("update journal_log set body = '{}' where seq = 2", {"I12_chain"}),
    ("update journal_log set actor = 'somebody' where seq = 2", {"I12_chain"}),
    ("update journal_log set at = at + interval '1 us' where seq = 2", {"I12_chain"}),
    (
        "update journal_log set event_id = gen_random_uuid() where event_id is not null",
        {"I12_chain"},
    ),
    ("update journal_log set causation_id = 'x' where seq = 2", {"I12_chain"}),
    ("delete from journal_log where seq = 2", {"I12_chain"}),
    ("delete from journal_log where seq = 1", {"I12_chain"}),
    ("delete from journal_log where seq = (select seq from heads)", {"I12_chain"}),
    ("delete from journal_log", {"I12_chain", "I11_cycle_events"}),
    (
        "update cycles set completed_at = started_at + interval '2 min' where completed_at"
        " is not null",
        {"I15_no_overlap"},
    ),
    (
        "update cycles set epoch = 7, started_at = started_at - interval '1 hour'",
        {"I15_live_epoch"},
    ),
    ("update decisions set verdict = 'denied'", {"I13_allowed"}),
    ("""update decisions set denials = '[{"code": "X", "message": "no"}]'""", {"I13_allowed"}),
    ("update decisions set quantity = 9", {"I13_allowed"}),
    ("update decisions set action = 'sell'", {"I13_allowed"}),
    ("update decisions set opening = false", {"I13_allowed"}),
    ("delete from decisions", {"I13_allowed"}),
    (
        "insert into orders select (jsonb_populate_record(o, jsonb_build_object('id',"
        " gen_random_uuid(), 'client_order_id', 'x', 'venue_order_id', 'x'))).* from orders o"
        " limit 1",
        {"I13_rate"},
    ),
    (
        """update journal_log set kind = 'agent.stopped', body = '{"to": "stopped"}'
        where seq = 1""",
        {"I14_nothing_after_stop", "I18_commanded"},
    ),
    (
        """update journal_log set kind = 'agent.failed', body = '{"to": "error"}'
        where seq = 4""",
        {"I14_nothing_after_stop"},
    ),
    (
        """update journal_log set kind = 'agent.paused', body = '{"to": "paused"}'
        where seq = 1""",
        {"I14_no_entry_while_paused"},
    ),
    ("update orders set expires_at = created_at", {"I16_expiry"}),
    ("update orders set created_at = '2026-11-21 15:00Z'", {"I16_session"}),
    ("update orders set created_at = '2026-11-20 21:00Z'", {"I16_session"}),
    ("update decisions set created_at = created_at + interval '1 us'", {"I17_one_clock"}),
    ("update fills set recorded_at = '2026-11-20 15:29Z'", {"I17_one_clock"}),
    ("update orders set submitted_at = '2026-11-20 15:29Z'", {"I17_one_clock"}),
    ("update orders set acked_at = submitted_at - interval '2 s'", {"I17_one_clock"}),
    ("update orders set ended_at = '2026-11-20 15:29Z'", {"I17_one_clock"}),
    (
        "update sagas set status = 'running', due = '2026-11-20 15:28Z'",
        {"I18_driven"},
    ),
    ("update agent_status set cycles_completed = 7", {"I19_counters"}),
    ("update agent_status set decisions_generated = null", {"I19_counters"}),
    ("delete from agent_status", {"I20_one_status"}),
    ("update agent_status set status = 'dancing'", {"I20_one_status"}),
]


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    """Consistent books."""
    async with running(database_dsn) as parts:
        await write_books(parts)
        yield parts


async def _broken(parts: Running) -> dict[str, Invariant]:
    return {i.name: i for i in await parts.records.invariants(AGENT, GIVEN) if i.violations}


async def test_the_view_shows_single_steps_however_they_were_logged(parts: Running) -> None:
    rows = await parts.admin.fetch("select * from saga_steps order by seq, place")
    for name, places in (("a", [1, 1, 1]), ("b", [1, 1, 1, 2])):
        saga_id = str(values.trade(name).saga.id)
        shown = [row for row in rows if row["saga_id"] == saga_id]
        assert [row["place"] for row in shown] == places
        assert {row["kind"] for row in shown} == {"saga.step"}
        bodies = [json.loads(row["body"]) for row in shown]
        assert [body["from"] for body in bodies] == ["pending", *["running"] * (len(places) - 1)]
        assert [body["to"] for body in bodies] == [*["running"] * (len(places) - 1), "completed"]


async def test_consistent_rows_break_nothing(parts: Running) -> None:
    found = await parts.records.invariants(AGENT, GIVEN)
    assert [i for i in found if i.violations] == []
    assert [i.name for i in found] == [*load("invariants"), "I12_chain"]
    assert all(i.description and i.remedy and not i.sample and not i.skipped for i in found)
    looked_at = {i.name: i.looked_at or 0 for i in found}
    assert looked_at.pop("I7_exact_columns") > 100
    assert looked_at.pop("I12_chain") == looked_at.pop("I10_epochs") == 10
    assert looked_at["I11_publication_order"] == 0  # nothing is published here
    assert looked_at["I1_one_order_per_intent"] == looked_at["I9_deadlines"] == 2
    assert looked_at["I11_published"] == 3


@pytest.mark.parametrize(("planted", "names"), PLANTED)
async def test_a_violation_is_seen(parts: Running, planted: str, names: set[str]) -> None:
    await parts.admin.execute(planted)
    broken = await _broken(parts)
    assert names <= set(broken)
    for name in names:
        assert 1 <= len(broken[name].sample) <= 5
        assert broken[name].violations >= len(broken[name].sample)


def test_every_invariant_has_its_violation() -> None:
    seen = set().union(*(names for _, names in PLANTED))
    assert seen == {*load("invariants"), "I12_chain"}


async def test_another_agent_is_none_of_its_business(parts: Running) -> None:
    await parts.admin.execute(
        "update orders set agent_id = gen_random_uuid(), filled_quantity = 9;"
        " update positions set agent_id = gen_random_uuid(), quantity = 9"
    )
    assert "I5_order_sums" not in await _broken(parts)


async def test_many_violations_are_counted_and_some_shown(parts: Running) -> None:
    orders = (values.trade(str(number)).order for number in range(30))
    unproven = (replace(order, status=OrderStatus.REJECTED) for order in orders)
    await parts.journal.commit(change(*map(Insert, unproven)))
    evidence = (await _broken(parts))["I3_evidence"]
    assert (evidence.violations, len(evidence.sample)) == (30, 5)
