"""What monitoring reads: health, liveness, metrics; and the pages that explain problems."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, SkipValidation
from msgspec import Struct

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import HealthAnswer, health_answer
from tradesaga.api.json_response import JsonResponse
from tradesaga.api.problem_kinds import KINDS, NO_SUCH_PATH, Kind
from tradesaga.api.problems import Refusal, shown
from tradesaga.ports.operations import Readiness

MetricsText = Callable[[], tuple[bytes, str]]
"""The metrics as text, and its content type."""

TAGS: Final = ["monitoring"]


@get(
    "/health",
    operation_id="getHealth",
    summary="Get the health of the parts",
    responses={
        503: ResponseSpec(HealthAnswer, description="the database is away", generate_examples=False)
    },
    tags=TAGS,
)
async def health(operations: OperationsPort) -> Response[HealthAnswer]:
    """What answers and what does not; 503 when the database is away."""
    report = await operations.health()
    return JsonResponse(health_answer(report), status_code=200 if report.database else 503)


@get(
    "/livez",
    operation_id="getLiveness",
    summary="Get whether the process answers",
    media_type=MediaType.TEXT,
    sync_to_thread=False,
    tags=TAGS,
)
def livez() -> str:
    """The process answers; asks nobody else."""
    return "ok\n"


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """`role` is leader or standby; a standby is ready: it answers what is asked of it."""

    status: str
    database: str
    role: str


@get(
    "/readyz",
    operation_id="getReadiness",
    summary="Get whether requests may be sent here",
    responses={
        503: ResponseSpec(ReadyAnswer, description="the database is away", generate_examples=False)
    },
    tags=TAGS,
)
async def readyz(operations: OperationsPort) -> Response[ReadyAnswer]:
    """Whether the database answers; the schema is up to date before anything is answered."""
    return _ready(await operations.readiness(), needs_recovery=False)


@get(
    "/startupz",
    operation_id="getStartup",
    summary="Get whether the start is over",
    responses={
        503: ResponseSpec(ReadyAnswer, description="it still recovers", generate_examples=False)
    },
    tags=TAGS,
)
async def startupz(operations: OperationsPort) -> Response[ReadyAnswer]:
    """As readyz; a leader must have settled what it found open, too."""
    return _ready(await operations.readiness(), needs_recovery=True)


@get(
    "/metrics",
    operation_id="getMetrics",
    summary="Get the metrics",
    media_type=MediaType.TEXT,
    sync_to_thread=False,
    tags=TAGS,
)
def metrics(
    metrics_text: NamedDependency[SkipValidation[MetricsText]],
) -> Response[bytes]:
    """All figures in the text format of Prometheus."""
    body, media_type = metrics_text()
    # As a header: Litestar would add a second charset to the media type.
    return JsonResponse(body, headers={"Content-Type": media_type})


@get("/problems", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def problem_index() -> str:
    """All kinds of problems."""
    rows = "".join(
        f'<li><a href="/problems/{kind.code}">{kind.code}</a>: {escape(kind.title)}</li>'
        for kind in KINDS.values()
    )
    return _page("Problems", f"<ul>{rows}</ul>")


@get(
    "/problems/{code:str}",
    media_type=MediaType.HTML,
    include_in_schema=False,
    sync_to_thread=False,
)
def problem_page(code: FromPath[str]) -> str:
    """What a kind of problem means and what to do."""
    kind = KINDS.get(code)
    if kind is None:
        raise Refusal(NO_SUCH_PATH, f"there is no kind of problem called {shown(code)}")
    return _page(kind.title, _explained(kind))


def _ready(found: Readiness, *, needs_recovery: bool) -> Response[ReadyAnswer]:
    good = found.database and (found.recovered or not needs_recovery)
    answer = ReadyAnswer(
        status="ready" if good else "not ready",
        database="connected" if found.database else "disconnected",
        role="leader" if found.leads else "standby",
    )
    return JsonResponse(answer, status_code=200 if good else 503)


def _explained(kind: Kind) -> str:
    return (
        f"<p>HTTP status {kind.status}, code <code>{kind.code}</code></p>"
        f"<p>{escape(kind.hint)}</p>"
        '<p><a href="/problems">All kinds of problems</a></p>'
    )


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head>"
        f"<body><h1>{escape(title)}</h1>{content}</body></html>\n"
    )
