"""The doors for requests: bodies and query parameters are taken exactly or not at all.

A body is one JSON object of known fields with the right types; nothing is coerced ("5" is no
number). All that is wrong is reported at once. An unknown field or parameter is refused: a
misspelt option that is ignored without a word is a wrong command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from litestar import Request, Response
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import Operation
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute
from msgspec import Meta, Struct
from typing_extensions import override

from tradesaga.api.problem_kinds import MALFORMED, MEDIA
from tradesaga.api.problems import Refusal, invalid, shown

BODY_BYTES_MAX: Final = 65536
BODY_DEPTH_MAX: Final = 16
PAUSE_MINUTES_MAX: Final = 525600
"""A year."""
TEXT_CHARACTERS_MAX: Final = 1000
STRATEGIES_MAX: Final = 1000

StrategyName = Annotated[str, Meta(min_length=1, max_length=200)]
ModeName = Literal["normal", "conservative", "aggressive"]


WhyInLog = Annotated[
    str,
    Meta(
        max_length=TEXT_CHARACTERS_MAX,
        description="why, for the audit log: text of at most 1000 characters",
    ),
]


class StartRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Body of start; every field is optional."""

    strategies: (
        Annotated[
            list[StrategyName],
            Meta(
                max_length=STRATEGIES_MAX,
                description="a list of ids or external ids of the strategies to run, at most "
                "1000; leave it out to keep those that are active",
            ),
        ]
        | None
    ) = None
    mode: (
        Annotated[
            ModeName,
            Meta(
                description="normal, conservative or aggressive; "
                "leave it out to keep the mode as it is"
            ),
        ]
        | None
    ) = None


class StopRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Body of stop; every field is optional."""

    reason: WhyInLog | None = None
    cancel_open_orders: Annotated[
        bool, Meta(description="true to cancel open entry orders; by default they are let be")
    ] = False


class PauseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Body of pause; without `duration` the pause lasts until resume."""

    duration: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=PAUSE_MINUTES_MAX,
                description="minutes until the agent goes on by itself, a number above 0 and at "
                "most 525600; leave it out to pause until resume",
            ),
        ]
        | None
    ) = None
    reason: WhyInLog | None = None


class ResumeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of resume; it ends the operator's pause alone."""

    reason: WhyInLog | None = None


@dataclass
class OptionalBody(Operation):
    """An operation whose body may be left out; Litestar declares every body as required."""

    def __post_init__(self) -> None:
        if self.request_body is not None and not isinstance(self.request_body, dict):
            self.request_body.required = False  # type: ignore[union-attr]  # never a Reference here


class StrictRequest(Request[Any, Any, Any]):
    """A request that reads its body into the type of the handler's `data`, strictly."""

    @override
    async def body(self) -> bytes:
        """All bytes of the body.

        Raises:
            Refusal: the client went away before the end; that is no failure of ours.
        """
        try:
            return await super().body()
        except InternalServerException as error:
            raise Refusal(MALFORMED, "the body ended before its length") from error

    @override
    async def json(self) -> Any:
        """The body; Litestar calls this only when there is one.

        Raises:
            Refusal: it is no JSON, not declared as JSON, or not what the operation takes.
        """
        media_type, _ = self.content_type
        if media_type != "application/json":
            raise Refusal(MEDIA, f"the body is declared as {shown(media_type)}")
        shape = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        return read_body(await self.body(), shape)


def read_body(body: bytes, shape: type[Struct]) -> Struct:
    """`body` as a `shape`.

    Raises:
        Refusal: not a JSON object, or wrong in fields that are all named.
    """
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(MALFORMED, str(error)) from error
    except RecursionError as error:
        raise Refusal(MALFORMED, "the body is nested too deeply") from error
    if not isinstance(raw, dict):
        raise Refusal(MALFORMED, f"the body is {shown(raw)}, not a JSON object")
    if _is_deeper(raw, BODY_DEPTH_MAX):
        raise Refusal(MALFORMED, f"the body is nested more than {BODY_DEPTH_MAX} levels deep")
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    known = ", ".join(fields) or "none"
    problems = [
        f"{name} is not a field of this request; its fields are: {known}"
        for name in raw
        if name not in fields
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in raw:
            if field.required:
                problems.append(f"{name} is missing: {_remedy(field.type)}")
            continue
        try:
            values[field.name] = msgspec.convert(raw[name], field.type)
        except msgspec.ValidationError:
            problems.append(f"{name} is {shown(raw[name])}: {_remedy(field.type)}")
    if problems:
        raise invalid(problems)
    return shape(**values)


def before_operation(request: Request[Any, Any, Any]) -> Response[None] | None:
    """A hook before every operation of the API: OPTIONS is answered, parameters are looked at.

    Raises:
        Refusal: naming what is not known, and what would be.
    """
    answer = answer_options(request)
    if answer is None:
        _must_be_known(request)
    return answer


def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """A hook: the answer to OPTIONS; Litestar's own names the methods of one route alone."""
    if request.method != "OPTIONS":
        return None
    here = request.scope["path_template"]
    known = {
        str(method)
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == here
        for method in route.methods
    }
    return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(known))})


def _must_be_known(request: Request[Any, Any, Any]) -> None:
    """Query parameters are known, and given once."""
    parameters = request.route_handler.parsed_fn_signature.parameters
    known = [
        parameter.kwarg_definition.name or name
        for name, parameter in parameters.items()
        if isinstance(parameter.kwarg_definition, QueryParameter)
    ]
    names = ", ".join(known) or "none"
    given = list(request.query_params.multi_items())
    problems = [
        f"{name} is not a parameter of this request; its parameters are: {names}"
        for name in dict(given)
        if name not in known
    ]
    problems += [
        f"{name} is given {count} times: give it once"
        for name in known
        if (count := sum(1 for key, _ in given if key == name)) > 1
    ]
    # A choice that may be left out would take the text null for that.
    problems += [
        f"{outside} is {shown(text)}: it takes {parameter.kwarg_definition.description}"
        for name, parameter in parameters.items()
        if isinstance(parameter.kwarg_definition, QueryParameter)
        for outside in [parameter.kwarg_definition.name or name]
        for text in [dict(given).get(outside, "")]
        if text.lower() == "null"
        and str not in get_args(parameter.annotation)
        and parameter.is_optional
    ]
    if problems:
        raise invalid(problems)


def _is_deeper(value: object, levels: int) -> bool:
    """Whether `value` has more than so many levels; looks no further than those."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)


def _remedy(annotation: Any) -> str:
    """The description of a field, which says what it takes; a union may hold it one level down."""
    for part in (annotation, *get_args(annotation)):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, Meta) and meta.description:
                return f"it takes {meta.description}"
    return "see /api/v1/openapi.json"
