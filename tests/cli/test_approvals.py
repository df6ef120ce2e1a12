"""`tradesaga approvals` as people use it, and the endpoints behind it."""

from __future__ import annotations

import json

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fake_approvals import WAITING
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode

WHO = ("--by", "ann", "--reason", "good")


async def test_what_waits_is_listed_with_its_end(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("approvals", "ls", "--state", "pending", url=url)
        none = await terminal.types("approvals", "ls", "--state", "denied", url=url)
    assert (said.code, said.err) == (0, "")
    head, row = said.out.splitlines()
    assert head.split() == ["STATE", "ORDER", "REFERENCE", "UNTIL", "BY", "ID"]
    assert "buy 2 ACME market" in row
    assert "2026-11-23 15:15:00Z" in row
    assert row.endswith(str(WAITING.id))
    assert none.out == "no approvals\n"


async def test_approving_names_the_saga_and_who_decided(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("approvals", "approve", str(WAITING.id), *WHO, url=url)
        again = await terminal.types("approvals", "deny", str(WAITING.id), *WHO, url=url)
    assert (
        said.out == f"approved: buy 2 ACME; `tradesaga sagas show {WAITING.saga_id}` follows it\n"
    )
    assert again.code == ExitCode.WRONG_STATE
    assert "is consumed" in again.err
    assert api.approvals.calls[0] == (
        "consumed",
        {"by": "ann", "reason": "good", "actor": ACTOR},
    )


async def test_denying(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types(
            "approvals", "deny", str(WAITING.id), *WHO, "-o", "json", url=url
        )
    answer = json.loads(said.out)
    assert (answer["state"], answer["decidedBy"], answer["reason"]) == ("denied", "ann", "good")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"reason": "good"}, "by is missing"),
        ({"by": "ann"}, "reason is missing"),
        ({"by": " ", "reason": "good"}, "by is"),
        ({"by": "ann", "reason": "good", "force": True}, "force is not a field"),
    ],
)
async def test_a_decision_without_a_name_or_reason_is_refused(
    api: Api, body: dict[str, object], named: str
) -> None:
    response = await api.client.post(f"/api/v1/approvals/{WAITING.id}/approve", json=body)
    assert response.status_code == 400
    assert named in response.text
    assert api.approvals.calls == []


async def test_an_id_that_is_none_and_one_that_is_unknown(api: Api) -> None:
    answers = [
        await api.client.post(f"/api/v1/approvals/{name}/deny", json={"by": "ann", "reason": "no"})
        for name in ("nonsense", "00000000-0000-7000-8000-000000000009")
    ]
    assert [answer.status_code for answer in answers] == [400, 404]
