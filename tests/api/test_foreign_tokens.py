"""Another issuer's tokens at the door: scopes, actor, sign-in, floods, and no trace of them."""

from __future__ import annotations

import io
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from tests.adapters.issuer import AUDIENCE, ISSUER, document, ec_key, public, token
from tests.api.fakes import Api
from tests.api.test_problems import is_problem
from tests.api.test_scopes import ROUTES, asked_of
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.oidc import CHECKS, KeySource, OidcCallers
from tradesaga.api.doorman import TOKEN_CHARACTERS_MAX, WRONG
from tradesaga.api.scopes import LATELY, is_open, needed
from tradesaga.domain.access import AccessScope, with_reading
from tradesaga.domain.foreign_tokens import ForeignRules, SigningAlgorithm
from tradesaga.testing.clock import VirtualClock

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AT = NOW.timestamp()
RULES = ForeignRules(
    issuer=ISSUER,
    scopes_claim="scope",
    scopes={f"may-{scope}": scope for scope in AccessScope},
    clock_error=timedelta(seconds=30),
    life_max=timedelta(hours=1),
    sign_in_age_max=timedelta(minutes=5),
)
LIMITS = {"mode": "normal", "limits": {}, "reason": "x"}


class Gatehouse:
    """The API with callers of another issuer, and their clock."""

    def __init__(self, api: Api, clock: VirtualClock) -> None:
        self.api = api
        self.clock = clock

    def bearer(self, shown: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {shown}"}

    def scoped(self, *scopes: str, **claims: Any) -> dict[str, str]:
        at = self.clock.now().timestamp()
        said = " ".join(f"may-{scope}" for scope in scopes)
        return self.bearer(token(at, scope=said, **claims))


@pytest.fixture
async def gate(api: Api) -> Gatehouse:
    clock = VirtualClock(NOW)

    async def read() -> bytes:
        return document(public(ec_key("one"), "one"))

    foreign = OidcCallers(
        rules=RULES,
        audience=AUDIENCE,
        algorithms=[SigningAlgorithm.ES256],
        sources=[KeySource(name="test", read=read)],
        refresh=timedelta(minutes=5),
        clock=clock,
    )
    await foreign.look()
    api.access.foreign = foreign
    return Gatehouse(api, clock)


async def test_a_scope_of_the_map_opens_its_own_routes_and_no_others(gate: Gatehouse) -> None:
    shown = {scope: gate.scoped(scope) for scope in AccessScope}
    for method, path, operation_id in ROUTES:
        if is_open(path):
            continue
        where = re.sub(r"\{\w+\}", "x", path)
        wanted = needed(operation_id, frozenset({method}))
        for scope in AccessScope:
            gate.api.seconds += 1
            answer = await gate.api.client.request(method, where, headers=shown[scope])
            if scope is AccessScope.ADMIN or with_reading([scope]) & set(wanted):
                assert answer.status_code not in (401, 403), (operation_id, scope, answer.text)
            else:
                is_problem(answer, 403, "forbidden")


async def test_a_token_without_a_scope_of_the_map_may_not_even_read(gate: Gatehouse) -> None:
    for claims in ({"scope": "admin read"}, {"leave_out": "scope"}, {"scope": ["may"]}):
        headers = gate.bearer(token(AT, **claims))
        answer = await gate.api.client.get("/api/v1/agent/status", headers=headers)
        is_problem(answer, 403, "forbidden")
    assert asked_of(gate.api) == []


async def test_the_subject_is_the_actor_of_the_audit_log(gate: Gatehouse) -> None:
    for subject in ("ann@example.org", "x#y z"):
        headers = gate.scoped("operate", sub=subject)
        answer = await gate.api.client.post("/api/v1/agent/stop", headers=headers)
        assert answer.status_code == 200
    first, second = (call[1]["actor"] for call in gate.api.operations.calls)
    assert re.fullmatch(r"api:ann@example\.org#oidc-[0-9a-f]{16}@127\.0\.0\.1", str(first))
    assert re.fullmatch(r"api:x%23y%20z#oidc-[0-9a-f]{16}@127\.0\.0\.1", str(second))


async def test_what_is_dangerous_needs_a_recent_sign_in(gate: Gatehouse) -> None:
    ask = gate.api.client.request
    old = gate.scoped("risk_admin", auth_time=AT - 301)
    for path, body in (("risk/limits", LIMITS), ("rearm", {"operator": "ann"})):
        method = "PUT" if body is LIMITS else "POST"
        answer = await ask(method, f"/api/v1/{path}", json=body, headers=old)
        is_problem(answer, 401, "sign-in-again")
        assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]
    old_admin = gate.scoped("admin", auth_time=AT - 301)
    for path in ("tokens", "tokens/x/rotate"):
        answer = await ask("POST", f"/api/v1/{path}", json={}, headers=old_admin)
        is_problem(answer, 401, "sign-in-again")
    assert asked_of(gate.api) == []
    answer = await ask("GET", "/api/v1/risk/limits", headers=old)
    assert answer.status_code == 200, "looking needs none"
    answer = await ask("POST", "/api/v1/kill", json={"reason": "x"}, headers=old)
    assert answer.status_code == 200, "a halt needs none"
    fresh = gate.scoped("risk_admin", auth_time=AT - 299)
    answer = await ask("PUT", "/api/v1/risk/limits", json=LIMITS, headers=fresh)
    assert answer.status_code == 200
    gate.clock.advance(timedelta(seconds=2))
    answer = await ask("PUT", "/api/v1/risk/limits", json=LIMITS, headers=fresh)
    is_problem(answer, 401, "sign-in-again")


def test_what_needs_a_recent_sign_in_exists() -> None:
    assert {operation_id for _, _, operation_id in ROUTES} >= LATELY


async def test_a_token_that_is_too_long_is_none(gate: Gatehouse) -> None:
    for length, status in ((0, 200), (TOKEN_CHARACTERS_MAX, 401)):
        headers = gate.scoped("read", more="x" * length)
        answer = await gate.api.client.get("/api/v1/agent/status", headers=headers)
        assert answer.status_code == status


async def test_who_is_known_is_let_in_from_an_address_of_strangers(gate: Gatehouse) -> None:
    known = gate.scoped("read")
    asks = gate.api.client.get
    assert (await asks("/api/v1/agent/status", headers=known)).status_code == 200
    for number in range(int(WRONG[1])):
        headers = gate.bearer(token(AT, key=ec_key("two"), sub=f"n{number}"))
        assert (await asks("/api/v1/agent/status", headers=headers)).status_code == 401
    new = gate.scoped("read", sub="bob")
    is_problem(await asks("/api/v1/agent/status", headers=new), 429, "too-many-requests")
    assert (await asks("/api/v1/agent/status", headers=known)).status_code == 200
    gate.api.come_from("10.0.0.9")
    answer = await gate.api.client.get("/api/v1/agent/status", headers=new)
    assert answer.status_code == 200, "another address"


async def test_too_many_signatures_are_put_off_and_not_called_wrong(gate: Gatehouse) -> None:
    forged = token(AT, key=ec_key("two"))
    for _ in range(CHECKS.burst):
        assert gate.api.access.caller(forged) is None
    answer = await gate.api.client.get("/livez/x", headers=gate.scoped("read"))
    is_problem(answer, 429, "too-many-requests")
    gate.clock.advance(timedelta(seconds=1))
    answer = await gate.api.client.get("/livez/x", headers=gate.scoped("read"))
    assert answer.status_code == 404


async def test_a_stream_of_events_ends_with_its_token(gate: Gatehouse) -> None:
    from tradesaga.api.event_stream import _lines

    shown = token(AT, scope="may-read")
    assert gate.api.access.caller(shown) is not None
    lines = _lines(gate.api.feed, gate.api.access, shown, 0, "")
    assert (await anext(lines)).startswith(b"retry")
    gate.clock.advance(timedelta(seconds=631))
    assert [line async for line in lines] == []


@pytest.mark.parametrize("form", ["json", "text"])
async def test_it_is_in_no_answer_and_in_no_log_line(
    gate: Gatehouse, form: log_output.Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_output.configure(form=form, stream=stream)
    for module in ("api.problems._log", "api.doorman.log", "adapters.oidc.log"):
        monkeypatch.setattr(f"tradesaga.{module}", structlog.get_logger())
    right, wrong = token(AT, scope="may-admin"), token(AT, aud="other")
    gate.api.operations.error = RuntimeError(f"refused {right} and {wrong}")
    said = [
        await gate.api.client.post(
            "/api/v1/agent/stop", json={"reason": "x"}, headers=gate.bearer(shown)
        )
        for shown in (right, wrong)
    ]
    structlog.reset_defaults()
    for name in log_output.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    logging.captureWarnings(capture=False)
    assert [answer.status_code for answer in said] == [500, 401]
    seen = stream.getvalue().decode() + "".join(a.text + str(a.headers) for a in said)
    seen += repr(gate.api.store.kept) + repr(gate.api.operations.calls)
    for shown in (right, wrong):
        for part in shown.split("."):
            assert part not in seen
