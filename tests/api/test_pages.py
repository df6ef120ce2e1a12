"""The one form of all lists: `limit`, `cursor`, `nextCursor`, and nothing seen twice or missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.checkpoints import CHECKPOINT
from tests.api.fake_approvals import WAITING
from tests.api.fake_letters import OPEN
from tests.api.fake_sagas import FOREIGN
from tests.api.fakes import Api
from tests.api.test_problems import is_problem
from tradesaga.api.app import document
from tradesaga.api.pages import by_number, by_time, cut
from tradesaga.api.problems import Refusal
from tradesaga.domain.ids import ApprovalId, ExternalOrderId

DOCUMENT = msgspec.json.decode(document())
NO_PAGES = {"listNodes", "nextFires"}
"""The nodes that live, as one picture; fires go on for ever."""
KNOWN = (
    "sagas orders orders/external reservations positions locks approvals dead-letters"
    " checkpoints cycles strategies schedules tokens agents risk/limits/history audit decisions"
)
TIMES = st.datetimes(timezones=st.just(UTC))


def lists() -> dict[str, str]:
    """Every reading operation whose answer is a list of things: its path and the field of them."""
    found = {}
    for path, item in DOCUMENT["paths"].items():
        operation = item.get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        answer = DOCUMENT["components"]["schemas"].get(reference.rpartition("/")[2], {})
        named = operation.get("operationId", "")
        is_list = named.startswith("list") or "nextCursor" in answer.get("properties", {})
        if is_list and named not in NO_PAGES:
            [field] = [n for n, s in answer["properties"].items() if s.get("type") == "array"]
            found[path] = field
    return found


LISTS = lists()


def test_there_are_lists() -> None:
    assert set(LISTS) == {f"/api/v1/{name}" for name in KNOWN.split()}


@pytest.mark.parametrize("path", LISTS)
async def test_pages_of_one_are_the_whole_list(api: Api, path: str) -> None:
    day = timedelta(days=1)
    api.operations.more_checkpoints = [replace(CHECKPOINT, epoch=2), replace(CHECKPOINT, epoch=1)]
    api.sagas.more_foreign = [replace(FOREIGN, id=ExternalOrderId(UUID(int=7)))]
    api.dead_letters.more = [replace(OPEN, id=6), replace(OPEN, id=2)]
    earlier = WAITING.created_at - day
    api.approvals.more = [replace(WAITING, id=ApprovalId(UUID(int=7)), created_at=earlier)]
    whole = (await api.client.get(path)).json()
    assert whole["nextCursor"] is None
    query, seen = "?limit=1", []
    for _ in range(20):
        answer = (await api.client.get(path + query)).json()
        assert len(answer[LISTS[path]]) <= 1
        seen += answer[LISTS[path]]
        if answer["nextCursor"] is None:
            break
        query = f"?limit=1&cursor={answer['nextCursor']}"
    assert seen == whole[LISTS[path]]
    assert seen


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "%C3%A9", "f" + "_" * 31, "WyJ4Il0=", "bnVsbA=="])
async def test_what_is_no_cursor_of_the_list_is_refused(api: Api, path: str, cursor: str) -> None:
    problem = is_problem(await api.client.get(f"{path}?cursor={cursor}"), 400, "invalid-request")
    assert problem["problems"][0].startswith("cursor is ")


@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_of_another_list_is_refused(api: Api, path: str) -> None:
    other = "/api/v1/sagas" if path != "/api/v1/sagas" else "/api/v1/orders"
    cursor = (await api.client.get(f"{other}?limit=1")).json()["nextCursor"]
    assert cursor is not None
    is_problem(await api.client.get(f"{path}?cursor={cursor}"), 400, "invalid-request")


@given(at=TIMES, number=st.integers(0, 2**128 - 1))
def test_a_cursor_is_a_place_in_time(at: datetime, number: int) -> None:
    listing, place = by_time("things"), (at, UUID(int=number))
    _, cursor = listing.page([place, place], 1, lambda one: one)
    assert listing.after(cursor) == place
    with pytest.raises(Refusal):
        by_time("others").after(cursor)
    with pytest.raises(Refusal):
        by_number("things").after(cursor)


@given(
    things=st.lists(st.tuples(st.text(max_size=3), st.integers(-9, 9)), unique=True),
    limit=st.integers(1, 5),
    gone=st.integers(0, 30),
)
def test_a_cut_goes_on_after_a_place_whatever_has_gone(
    things: list[tuple[str, int]], limit: int, gone: int
) -> None:
    seen: list[Any] = []
    left, cursor = list(things), None
    for _ in range(len(things) + 1):
        page, cursor = cut("things", left, limit, cursor, lambda thing: thing)
        assert len(page) <= limit
        seen += page
        if cursor is None:
            break
        if gone < len(page):  # what was seen goes away before the next page is asked for
            left.remove(page[gone])
    assert seen == sorted(things)
