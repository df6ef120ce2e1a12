"""The commands on sagas against a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fake_sagas import DONE_ID, PARKED_ID, STUCK_ID
from tests.api.fakes import CYCLE_ID, Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Resolution
from tradesaga.ports.trade_records import TradeQuery

PARKED, STUCK, DONE = str(PARKED_ID), str(STUCK_ID), str(DONE_ID)


async def test_the_list_as_a_table_and_its_next_page(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        first = await terminal.types("sagas", "ls", "--limit", "2", url=url)
        header, *rows, more = first.out.splitlines()
        cursor = more.removeprefix("more: --cursor ")
        second = await terminal.types("sagas", "ls", "--cursor", cursor, url=url)
    assert header.split()[:3] == ["CREATED", "STATE", "SYMBOL"]
    assert [row.split()[-1] for row in rows] == [STUCK, PARKED]
    assert [line.split()[-1] for line in second.out.splitlines()] == ["ID", DONE]
    assert "manual_required" in rows[0]


async def test_the_list_is_narrowed(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types(
            "sagas", "ls", "--state", "manual_required", "--symbol", "ACME", "--cycle",
            str(CYCLE_ID), "--limit", "5", url=url,
        )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    parked = frozenset({SagaStatus.MANUAL_REQUIRED})
    query = TradeQuery(limit=6, sagas=parked, symbol="ACME", cycle_id=CYCLE_ID)
    assert api.sagas.calls == [("trades", {"query": query})]


async def test_one_saga_with_all_that_belongs_to_it(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("sagas", "show", STUCK, url=url)
    for line in (
        "state        manual_required at wait_for_fill",
        "allowed now  retry, resolve",
        "order        buy 2 ACME market: partially_filled, 1 filled at 100",
        "reservation  open: 202 set aside, 100 consumed, 0 released",
        "  wait_for_fill (pivot)  current  back by handle_partial_fill",
    ):
        assert line in said.out
    assert "pending > running" in said.out
    assert "no answer: timeout" in said.out
    assert "resolve not_placed" in said.out


@pytest.mark.parametrize("tokens", [["show", STUCK], ["ls"]])
async def test_json_is_the_answer_of_the_api(
    api: Api, terminal: Terminal, tokens: Sequence[str]
) -> None:
    path = "" if tokens == ["ls"] else f"/{STUCK}"
    async with served(api.app) as url:
        said = await terminal.types("sagas", *tokens, "-o", "json", url=url)
    answer = await api.client.get(f"/api/v1/sagas{path}")
    assert said.out == answer.text + "\n"


async def test_a_persons_word_is_sent_with_its_reason(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = [
            await terminal.types("sagas", "retry", PARKED, "--reason", "it is back", url=url),
            await terminal.types(
                "sagas", "resolve", STUCK, "--outcome", "canceled", "--reason", "seen", url=url
            ),
        ]
    assert [one.code for one in said] == [0, 0]
    assert "state        compensating at cancel_order" in said[0].out
    assert "state        completed_partial" in said[1].out
    assert api.sagas.calls == [
        ("retry", {"saga_id": PARKED_ID, "reason": "it is back", "actor": ACTOR}),
        (
            "resolve",
            {"saga_id": STUCK_ID, "resolution": Resolution.CANCELED, "reason": "seen",
             "actor": ACTOR, "venue_order_id": None},
        ),
    ]  # fmt: skip


async def test_what_a_saga_does_not_allow_has_its_exit_code(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        past = await terminal.types("sagas", "compensate", STUCK, "--reason", "x", url=url)
        blank = await terminal.types("sagas", "retry", PARKED, "--reason", " ", url=url)
        silent = await terminal.types("sagas", "retry", PARKED, url=url)
        nobody = await terminal.types("sagas", "show", PARKED[:-1] + "f", url=url)
    assert (past.code, past.out) == (4, "")
    assert "past the pivot it only goes forward" in past.err
    assert "It is manual_required; allowed now: retry, resolve" in past.err
    assert blank.code == 2
    assert "reason is" in blank.err
    assert silent.code == 2
    assert nobody.code == 3


@pytest.mark.parametrize(("saga_id", "code"), [(DONE, 0), (PARKED, 1)])
async def test_watch_tells_how_a_saga_came_to_rest(
    api: Api, terminal: Terminal, saga_id: str, code: int
) -> None:
    async with served(api.app) as url:
        said = await terminal.types("sagas", "watch", saga_id, url=url)
    assert said.code == code
    assert said.out.splitlines()[1].endswith(saga_id)


async def test_watch_prints_a_saga_each_time_its_state_changes(
    api: Api, terminal: Terminal
) -> None:
    looks = 0
    trades = api.sagas.trades
    looked = asyncio.Event()

    async def counted(query: TradeQuery) -> object:
        nonlocal looks
        looks += 1
        if looks == 2:
            looked.set()
        return await trades(query)

    api.sagas.trades = counted  # type: ignore[assignment,method-assign]  # a look more is counted
    async with served(api.app) as url, asyncio.TaskGroup() as group:
        watching = group.create_task(
            terminal.types("sagas", "watch", "--interval", "0.05", "--timeout", "5", url=url)
        )
        await looked.wait()
        await api.sagas.compensate(PARKED_ID, reason="x", actor="y")
        said = await watching
    assert said.code == 124
    rows = [(line.split()[2], line.split()[-1]) for line in said.out.splitlines()[1:]]
    assert rows == [
        ("manual_required", PARKED),
        ("manual_required", STUCK),
        ("compensating", PARKED),
    ]


async def test_a_position_is_closed(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        done = await terminal.types("positions", "close", "ACME", "--reason", "rumours", url=url)
        flat = await terminal.types("positions", "close", "SPY", "--reason", "rumours", url=url)
    assert (done.code, done.out.split()[-1]) == (0, STUCK)
    assert (flat.code, flat.out) == (4, "")
    assert "nothing of SPY is held" in flat.err


async def test_positions_are_listed_by_symbol(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("positions", "ls", "--limit", "1", url=url)
        cursor = said.out.splitlines()[-1].split()[-1]
        rest = await terminal.types("positions", "ls", "--cursor", cursor, url=url)
        flat = await terminal.types("positions", "ls", "--status", "flat", url=url)
    header, first, *_ = said.out.splitlines()
    assert header.split() == ["SYMBOL", "HELD", "BOUGHT", "AT", "SOLD", "AT", "FEES"]
    seen = [first, *rest.out.splitlines()[1:]]
    assert [line.split()[0] for line in seen] == sorted(line.split()[0] for line in seen)
    assert all(line.split()[1] == "0" for line in flat.out.splitlines()[1:])


async def test_locks_are_shown(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("positions", "locks", url=url)
    header, parked, quarantine = said.out.splitlines()
    assert header.split() == ["SYMBOL", "REASON", "SINCE", "SAGA", "DETAIL"]
    assert parked.split()[:2] == ["ACME", "manual_required"]
    assert "quarantine" in quarantine


async def test_orders_that_are_not_ours_are_shown(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("positions", "external", "--state", "open", url=url)
    header, order = said.out.splitlines()
    assert header.split() == ["KIND", "STATE", "SYMBOL", "FILLED", "SEEN", "ID"]
    assert order.split()[:3] == ["external", "open", "SPY"]
    assert order.split()[-1] == "ord_77"
