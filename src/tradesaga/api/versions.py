"""ETag and If-Match: a command may be bound to the version of the state that was read.

The tag is the version of the stored row, so it moves with every commit of that row. If-Match takes
the tags that were read, or `*` for any; a tag that is not one of ours matches nothing. Without the
header a command is taken as it is.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from tradesaga.api.json_response import JsonResponse
from tradesaga.api.problem_kinds import INVALID
from tradesaga.api.problems import Refusal
from tradesaga.domain.as_read import AsRead

T = TypeVar("T")
_TAG: Final = r'(?:W/)?"[!#-~]*"'
PATTERN: Final = rf"^(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*)$"
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        max_length=1000,
        schema_extra={"pattern": PATTERN},
        description="the `ETag` that was read: 412 when the state has moved on since",
    ),
]
TAGGED: Final = [
    ResponseHeader(
        name="ETag",
        description="the version of the state, for If-Match",
        documentation_only=True,
    )
]
_TAGS: Final = re.compile(PATTERN)
_OURS: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,17}|0)"')


def tagged(answer: T, version: int) -> Response[T]:
    """The answer with the version that it tells of."""
    return JsonResponse(answer, headers={"ETag": f'"{version}"'})


def as_read(if_match: str | None) -> AsRead:
    """The versions that the header names.

    Raises:
        Refusal: it is neither `*` nor a list of tags.
    """
    if if_match is None:
        return None
    if _TAGS.fullmatch(if_match.strip(" \t")) is None:
        raise Refusal(INVALID, 'If-Match is neither * nor a list of tags as in "7"')
    if if_match.strip(" \t") == "*":
        return None
    return frozenset(int(tag) for tag in _OURS.findall(if_match))
