"""The event stream: whole, resumed, filtered, private, and bounded."""

from __future__ import annotations

import asyncio

import httpx2
import msgspec
import pytest

from tests.api.fake_access import ADMIN_HEADER
from tests.api.fake_feed import row
from tests.api.fakes import Api
from tests.api.serving import served
from tests.api.test_problems import is_problem
from tradesaga.api import event_stream

EVENTS = "/api/v1/events"


def ids_in(text: str) -> list[str]:
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


async def test_it_resumes_after_the_event_that_the_client_had_last(api: Api) -> None:
    for last, wanted in (("0", ["3", "7", "9"]), ("3", ["7", "9"]), ("8", ["9"]), ("9", [])):
        response = await api.client.get(EVENTS, headers={"Last-Event-ID": last})
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert ids_in(response.text) == wanted
    response = await api.client.get(EVENTS)
    assert ids_in(response.text) == [], "without an id it begins now"


async def test_an_event_is_one_envelope_in_one_line(api: Api) -> None:
    response = await api.client.get(EVENTS, headers={"Last-Event-ID": "7"})
    _, event, _ = response.text.split("\n\n")
    identity, kind, data = event.split("\n")
    assert (identity, kind) == ("id: 9", "event: orchestrator.cycle.started")
    envelope = msgspec.json.decode(data.removeprefix("data: "))
    assert envelope["metadata"]["eventId"] == "e9"
    assert envelope["metadata"]["timestamp"] == "2020-12-15T17:00:00.000000Z"
    assert envelope["payload"] == {"cycleId": "c", "text": "a\nb"}


async def test_it_is_filtered_by_the_beginning_of_the_type(api: Api) -> None:
    response = await api.client.get(
        f"{EVENTS}?type=orchestrator.cycle.comp", headers={"Last-Event-ID": "0"}
    )
    assert ids_in(response.text) == ["7"]


@pytest.mark.parametrize("last", ["", "x", "-1", "1.5", "²"])
async def test_what_is_no_id_is_refused(api: Api, last: str) -> None:
    headers = {"Last-Event-ID": last.encode("utf-8")}
    response = await api.client.get(EVENTS, headers=headers)  # type: ignore[arg-type]  # as bytes
    is_problem(response, 400, "invalid-request")


async def test_it_needs_a_token_that_is_not_in_the_url(api: Api) -> None:
    del api.client.headers["Authorization"]
    is_problem(await api.client.get(f"{EVENTS}?token=x"), 401, "unauthenticated")


async def test_news_arrive_and_a_revoked_token_ends_the_stream(api: Api) -> None:
    api.feed.stays = True
    async with (
        asyncio.timeout(10),
        served(api.app) as address,
        httpx2.AsyncClient(base_url=address, headers=ADMIN_HEADER) as client,
        client.stream("GET", EVENTS) as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        api.feed.rows.append(row(12))
        while (line := await anext(lines)) != "id: 12":
            assert not line
        api.access.known.clear()
        assert [line async for line in lines if line.startswith("id")] == []
    assert event_stream._open.total() == 0


async def test_a_token_opens_a_bounded_number_of_streams(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "OF_ONE_TOKEN_MAX", 0)
    is_problem(await api.client.get(EVENTS), 429, "too-many-requests")
