"""Every error of the API as a problem document (RFC 9457).

A problem says what is wrong (`detail`), what to do (`hint`, `problems`) and how to find the log
lines about it (`traceId`). It never carries a stack, SQL, or the text of an error that is not
ours. `type` is the path of a page about the kind, served by this process; `code` is its last part
and the one member that programs should look at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

from tradesaga.api.json_response import JsonResponse
from tradesaga.api.problem_kinds import (
    CONFLICT,
    INTERNAL,
    INVALID,
    METHOD,
    NO_SUCH_PATH,
    NOT_FOUND,
    REFUSED,
    STALE,
    TIMED_OUT,
    TOO_LARGE,
    UNAVAILABLE,
    WRONG_STATE,
    Kind,
)
from tradesaga.domain.errors import (
    Conflict,
    DeadlineExceeded,
    IllegalTransition,
    Invalid,
    NotFound,
    Refused,
    Rejected,
    Stale,
    TradesagaError,
    Transient,
)
from tradesaga.ports.metrics import ErrorType, Metrics

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = {"Retry-After": "1"}
VALUE_CHARACTERS_MAX: Final = 60

_log = structlog.get_logger()


class Problem(Struct, frozen=True, kw_only=True, rename="camel"):
    """A problem document; members that do not apply are left out."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str
    trace_id: str
    problems: list[str] | UnsetType = UNSET
    current_state: str | UnsetType = UNSET
    allowed_actions: list[str] | UnsetType = UNSET


class StateProblem(Problem, frozen=True, kw_only=True, rename="camel"):
    """A problem with the state of things: it says which commands would be taken now."""

    allowed_actions: list[str]


class Refusal(Exception):
    """The request is answered with a problem of this kind."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        problems: Sequence[str] = (),
        *,
        current_state: str | None = None,
        allowed_actions: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.problems = problems
        self.current_state = current_state
        self.allowed_actions = allowed_actions
        self.headers = dict(headers or {})


class Problems:
    """The exception handler of the application: every exception becomes a document."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
        """The answer to `error`; what is not ours is logged, counted and not shown."""
        refusal = _refusal_of(request, error)
        if refusal is None:
            self._metrics.error_occurred(ErrorType.API)
            _log.error(
                "request_failed", method=request.method, path=request.url.path, exc_info=error
            )
            refusal = Refusal(INTERNAL, "an error that was not foreseen; it has been logged")
        return document(request, refusal)


def document(request: Request[Any, Any, Any], refusal: Refusal) -> Response[Problem]:
    """The response that carries `refusal`."""
    state, actions = refusal.current_state, refusal.allowed_actions
    form = problem_of(refusal.kind.status)
    problem = form(
        type=f"/problems/{refusal.kind.code}",
        title=refusal.kind.title,
        status=refusal.kind.status,
        detail=refusal.detail,
        instance=quote(request.url.path),
        code=refusal.kind.code,
        hint=refusal.kind.hint,
        trace_id=request.scope["state"]["trace_id"],
        problems=list(refusal.problems) or UNSET,
        current_state=UNSET if state is None else state,
        allowed_actions=list(actions or ())
        if actions is not None or form is StateProblem
        else UNSET,
    )
    return JsonResponse(
        problem,
        status_code=refusal.kind.status,
        media_type=MEDIA_TYPE,
        headers=refusal.headers,
    )


def invalid(problems: Sequence[str]) -> Refusal:
    """The refusal of a request that is wrong in all these places."""
    if len(problems) == 1:
        return Refusal(INVALID, problems[0], problems)
    return Refusal(INVALID, f"the request is wrong in {len(problems)} places", problems)


def shown(value: object) -> str:
    """`value` as JSON, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    if len(text) <= VALUE_CHARACTERS_MAX:
        return text
    return f"{text[:VALUE_CHARACTERS_MAX]}…"


def failures(*statuses: int) -> dict[int, ResponseSpec]:
    """How the problem documents of an operation stand in the OpenAPI document."""
    return {
        status: ResponseSpec(
            problem_of(status),
            generate_examples=False,
            media_type=MEDIA_TYPE,
            description=HTTPStatus(status).phrase,
        )
        for status in (*statuses, 500)
    }


def problem_of(status: int) -> type[Problem]:
    """The form of the problem documents with this status."""
    return StateProblem if status == HTTPStatus.CONFLICT else Problem


def _refusal_of(request: Request[Any, Any, Any], error: Exception) -> Refusal | None:
    """What to answer to `error`; None when it is no answer but a defect."""
    match error:
        case Refusal():
            return error
        case TradesagaError():
            return _refusal_of_ours(error)
        case ValidationException():
            return invalid(_named(request, error))
        case HTTPException(status_code=404):
            return Refusal(NO_SUCH_PATH, f"there is nothing at {request.url.path}")
        case HTTPException(status_code=405):
            headers = error.headers or {}
            detail = f"{request.url.path} does not know {request.method}"
            known = ", ".join(sorted(headers.get("allow", "").split(", ")))
            return Refusal(METHOD, detail, headers={"Allow": known})
        case HTTPException(status_code=413):
            return Refusal(TOO_LARGE, "the body has more than 65536 bytes")
        case HTTPException(status_code=status) if 400 <= status < 500:
            return Refusal(INVALID, error.detail)
        case _:
            return None


def _refusal_of_ours(error: TradesagaError) -> Refusal | None:
    match error:
        case Invalid(problems=problems):
            return invalid(problems)
        case NotFound():
            return Refusal(NOT_FOUND, str(error))
        case IllegalTransition():
            return Refusal(
                WRONG_STATE, str(error), current_state=error.state, allowed_actions=error.allowed
            )
        case Rejected():
            return invalid([str(error)])
        case DeadlineExceeded():
            return Refusal(TIMED_OUT, str(error), headers=RETRY_AFTER)
        case Transient():
            return Refusal(UNAVAILABLE, str(error), headers=RETRY_AFTER)
        case Stale():
            return Refusal(STALE, str(error))
        case Conflict():
            return Refusal(CONFLICT, str(error), allowed_actions=error.allowed, headers=RETRY_AFTER)
        case Refused():
            return Refusal(REFUSED, str(error))
        case _:
            return None


def _named(request: Request[Any, Any, Any], error: ValidationException) -> list[str]:
    """One sentence for each parameter: its name, what came, what was expected."""
    known: dict[str, tuple[str, Any]] = {}
    for name, parameter in request.route_handler.parsed_fn_signature.parameters.items():
        outside = getattr(parameter.kwarg_definition, "name", None) or name
        known[name] = known[outside] = outside, parameter.kwarg_definition
    found = []
    for item in error.extra or ():
        key = str(item.get("key", "")) if isinstance(item, dict) else ""
        if key not in known:
            continue
        name, definition = known[key]
        value = request.query_params.get(name, request.path_params.get(name))
        remedy = getattr(definition, "description", None) or "what /api/v1/openapi.json says"
        found.append(f"{name} is {shown(value)}: it takes {remedy}")
    return found or [error.detail]
