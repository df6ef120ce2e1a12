"""The API's answers about sagas as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradesaga.cli.rendering import NOTHING, moment, more, number, section, table

_COLUMNS: Final = (
    "CREATED", "STATE", "SYMBOL", "SIDE", "QUANTITY", "FILLED", "ORDER", "STEP", "ID",
)  # fmt: skip
_NUMBERS: Final = (4, 5)
_WIDTHS: Final = (20, 17, 8, 4, 9, 9, 16, 20, 36)
"""Of a line that stands alone, when the rows to come are not known."""


def sagas_text(answer: Mapping[str, Any]) -> list[str]:
    """A page of the list, and how to see the next one."""
    rows = [_row(saga) for saga in answer["sagas"]]
    return [*table(_COLUMNS, rows, right=_NUMBERS), *more(answer)]


def saga_line(saga: Mapping[str, Any] | None) -> str:
    """One saga in the columns of the list; the header for None."""
    row = _COLUMNS if saga is None else _row(saga)
    return table(row, (), right=_NUMBERS, widths=_WIDTHS)[0]


def saga_text(record: Mapping[str, Any]) -> list[str]:
    """One saga: where it stands, what is known of its order, and how it came there."""
    saga, order, held = record["saga"], record["order"], record["reservation"]
    attempts, deadlines = record["attempts"], record["deadlines"]
    head = [
        ("saga", saga["id"]),
        ("state", saga["state"] + (f" at {saga['step']}" if saga["step"] else "")),
        ("reason", saga["reason"] or NOTHING),
        ("allowed now", ", ".join(record["allowedActions"]) or NOTHING),
        ("decision", f"{saga['decisionId']}, cycle {saga['cycleId'] or NOTHING}"),
        ("created", f"{moment(saga['createdAt'])}, deadline {moment(deadlines['sagaAt'])}"),
        ("order", _order(order)),
        ("ids", f"{order['clientOrderId']}, venue {order['venueOrderId'] or NOTHING}"),
        ("expires", moment(deadlines["orderExpiresAt"])),
        ("evidence", record["evidence"] or NOTHING),
        ("attempts", _attempts(attempts)),
        ("cancel", _cancel(attempts)),
        (
            "reservation",
            f"{held['state']}: {number(held['amount'])} set aside, {number(held['consumed'])} "
            f"consumed, {number(held['released'])} released",
        ),
    ]
    return [
        *table((), head),
        *section("plan", _plan(record)),
        *section("fills", _fills(record)),
        *section("steps", _steps(record)),
        *section("compensations", _compensations(record)),
    ]


def _row(saga: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        moment(saga["createdAt"]),
        saga["state"],
        saga["symbol"],
        saga["side"],
        number(saga["quantity"]),
        number(saga["filledQuantity"]),
        saga["orderStatus"],
        saga["step"] or NOTHING,
        saga["id"],
    )


def _order(order: Mapping[str, Any]) -> str:
    return (
        f"{order['side']} {number(order['quantity'])} {order['symbol']} {order['type']}: "
        f"{order['status']}, {number(order['filledQuantity'])} filled at "
        f"{number(order['averagePrice'])}"
    )


def _attempts(attempts: Mapping[str, Any]) -> str:
    return (
        f"{attempts['attempt']} at this step, {attempts['sends']} sends, {attempts['lookups']} "
        f"look-ups, next {moment(attempts['nextAt'])}"
    )


def _cancel(attempts: Mapping[str, Any]) -> str:
    wanted, asked = attempts["cancelWantedAt"], attempts["cancelRequestedAt"]
    return NOTHING if wanted is None else f"wanted {moment(wanted)}, requested {moment(asked)}"


def _plan(record: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            step["action"] + (" (pivot)" if step["pivot"] else ""),
            step["state"],
            f"back by {step['compensation']}",
        )
        for step in record["plan"]
    ]
    return table((), rows)


def _fills(record: Mapping[str, Any]) -> list[str]:
    rows = [
        (moment(f["filledAt"]), number(f["quantity"]), number(f["price"]), f["venueFillId"])
        for f in record["fills"]
    ]
    return (
        table(("FILLED", "QUANTITY", "PRICE", "VENUE FILL ID"), rows, right=(1, 2)) if rows else []
    )


def _steps(record: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            step["at"][:10] + " " + step["at"][11:23],
            step["actor"],
            step["kind"],
            step["step"] or step["input"] or NOTHING,
            f"{step['before']} > {step['after']}" if step["after"] else NOTHING,
            step["orderStatus"] or NOTHING,
            step["reason"] or "",
        )
        for step in record["steps"]
    ]
    header = ("AT", "ACTOR", "KIND", "STEP", "STATE", "ORDER", "REASON")
    return table(header, rows) if rows else []


def _compensations(record: Mapping[str, Any]) -> list[str]:
    rows = [
        (moment(done["at"]), done["compensation"], done["reason"])
        for done in record["compensations"]
    ]
    return table((), rows)
