"""HTTP of ai-decision: ask for a decision, look one up, list the newest."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from tradesaga.paper.identifiers import fresh_uuid7
from tradesaga.paper.orders import Refusal
from tradesaga.paper.spec.decisions_desk import (
    Asked,
    Context,
    Decision,
    DecisionDesk,
    fields_of,
)
from tradesaga.paper.spec.http_faults import through_faults
from tradesaga.paper.spec.http_messages import answer, body_of, integer
from tradesaga.paper.spec.wire import Wire, invalid

PAGE_DEFAULT, PAGE_MAX = 50, 500
SCANNED_MAX = 10_000
ESTIMATED_SECONDS = 0
_AnyRequest = Request[Any, Any, Any]


class Generate(Wire, frozen=True, kw_only=True):
    """The body of `POST /decisions/generate`; `requestId` makes a repeat the same decision."""

    symbol: str
    strategy_id: str
    context: Context | None = None
    request_id: str | None = None


@post("/decisions/generate", status_code=201)
async def generate(request: _AnyRequest) -> Response[bytes]:
    """Ask for a decision: it is ready by the time of the first look-up."""
    desk = _desk(request)
    wish = await body_of(request, Generate)

    async def act() -> Response[bytes]:
        asked = Asked(
            request_id=wish.request_id or str(fresh_uuid7()),
            strategy_id=wish.strategy_id,
            symbol=wish.symbol,
            context=wish.context,
        )
        decision = desk.decide(asked, correlates=wish.request_id is not None)
        body = {
            "decisionId": decision.decision_id,
            "status": "pending",
            "estimatedTime": ESTIMATED_SECONDS,
        }
        return answer(body, 201)

    return await through_faults(request, desk.faults, "generate", act, symbol=wish.symbol)


@get("/decisions/{decision_id:str}")
async def one(request: _AnyRequest, decision_id: FromPath[str]) -> Response[bytes]:
    """One decision."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        stored = desk.store.decision(decision_id)
        if stored is None:
            raise Refusal("DECISION_NOT_FOUND", f"decision {decision_id} is not known")
        return answer(_shown(stored))

    return await through_faults(request, desk.faults, "decisions", act)


@get("/decisions")
async def several(request: _AnyRequest) -> Response[bytes]:
    """The newest decisions first: `?strategyId&symbol&limit&after`."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        limit = integer(request, "limit", default=PAGE_DEFAULT, most=PAGE_MAX)
        wanted = {
            name: value
            for name in ("strategyId", "symbol")
            if (value := request.query_params.get(name)) is not None
        }
        after = request.query_params.get("after")
        if after is not None and not after.isdecimal():
            raise invalid("after: must be the nextCursor of an answer")
        scanned = desk.store.decisions(None if after is None else int(after), SCANNED_MAX)
        found: list[dict[str, Any]] = []
        body: dict[str, Any] = {"decisions": found}
        for number, stored in scanned:
            shown = _shown(stored)
            if any(shown[name] != value for name, value in wanted.items()):
                continue
            found.append(shown)
            if len(found) == limit:
                body["nextCursor"] = str(number)
                break
        return answer(body)

    return await through_faults(request, desk.faults, "decisions", act)


def _desk(request: _AnyRequest) -> DecisionDesk:
    desk: DecisionDesk = request.app.state.desk
    return desk


def _shown(stored: bytes) -> dict[str, Any]:
    decision = msgspec.json.decode(stored, type=Decision)
    return {
        **fields_of(decision),
        "riskAssessment": {"riskLevel": decision.risk_level},
        "status": "completed",
        "completedAt": decision.created_at,
    }


HANDLERS = [generate, one, several]
