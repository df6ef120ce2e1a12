"""The bodies of the commands on a saga: a reason is a part of each."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

REASON_PATTERN = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
"""Not blank, no control characters: the database cannot keep some of them."""
ID_PATTERN = r"^[^\x00-\x20\x7f]+$"
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        pattern=REASON_PATTERN,
        description="why, for the audit log: text of 1 to 1000 characters that is not blank, "
        "in one line",
    ),
]


class InterventionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of the commands that take a reason alone: retry, compensate, close."""

    reason: Reason


class ResolveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Body of resolve; `venueOrderId` belongs to adopt alone."""

    outcome: Annotated[
        Literal["not_placed", "canceled", "adopt"],
        Meta(description="not_placed, canceled, or adopt with venueOrderId"),
    ]
    reason: Reason
    venue_order_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=128,
                pattern=ID_PATTERN,
                description="the id that the venue gave the order: 1 to 128 characters, no blanks",
            ),
        ]
        | None
    ) = None
