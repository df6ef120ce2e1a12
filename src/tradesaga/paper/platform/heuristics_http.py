"""HTTP of the platform's decision maker: `POST /analyze` answers at once."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tradesaga.paper.platform.heuristics import Heuristics, Market
from tradesaga.paper.platform.wire import AnyRequest, answer, fields_of, page
from tradesaga.paper.spec.http_faults import through_faults

LIMIT_DEFAULT = 50


@post("/analyze", status_code=200)
async def analyze(request: AnyRequest) -> Response[bytes]:
    """Judge a symbol by the data that come along."""
    desk, body = _desk(request), await fields_of(request)
    if body is None:
        return page(request, 400, "SyntaxError: Unexpected token in JSON")
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        return answer({"error": "Bad Request", "message": "symbol is required"}, 400)
    try:
        market = msgspec.convert(body.get("marketData") or {}, Market, strict=False)
    except msgspec.ValidationError:
        return answer({"error": "Internal Server Error", "message": "Analysis failed"}, 500)

    async def act() -> Response[bytes]:
        decision = await desk.decide(symbol, market)
        return answer({"success": True, "decision": decision})

    return await through_faults(request, desk.faults, "generate", act, symbol=symbol)


@get("/decisions/{decision_id:str}")
async def one(request: AnyRequest, decision_id: FromPath[str]) -> Response[bytes]:
    """One of the last hundred decisions."""
    found = next((d for d in _desk(request).kept if d.decision_id == decision_id), None)
    if found is None:
        return answer({"error": "Not Found", "message": "Decision not found"}, 404)
    return answer({"decision": found})


@get("/decisions")
async def several(request: AnyRequest) -> Response[bytes]:
    """The newest first: `?symbol&action&limit`."""
    asked = request.query_params
    text = asked.get("limit", "")
    limit = int(text) if text.isdecimal() else LIMIT_DEFAULT
    filters = {name: asked[name] for name in ("symbol", "action") if name in asked}
    kept = list(reversed(_desk(request).kept))
    fitting = [d for d in kept if all(getattr(d, name) == v for name, v in filters.items())]
    body: dict[str, Any] = {
        "decisions": list(islice(fitting, limit)),
        "total": len(fitting),
        "limit": limit,
        "filters": filters,
    }
    return answer(body)


def _desk(request: AnyRequest) -> Heuristics:
    desk: Heuristics = request.app.state.desk
    return desk


HANDLERS = [analyze, one, several]
