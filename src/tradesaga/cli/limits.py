"""`tradesaga limits`: the risk limits in force, changes of them, and who made which."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import msgspec
from cyclopts import App

from tradesaga.cli.asking import tell
from tradesaga.cli.client import CallFailed, Server, call, decoded
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import moment, table

HERE: Final = Server()
PATH: Final = "/risk/limits"
Mode = Literal["conservative", "normal", "aggressive"]

limits = App(name="limits", help="Show the risk limits in force, change them, list the changes.")


@limits.command(name="show")
async def show(*, mode: Mode | None = None, server: Server = HERE) -> int:
    """Show the limits in force.

    Parameters
    ----------
    mode
        Only those of this mode.
    """
    return await tell(server, call(server, "GET", PATH), lambda answer: _shown(answer, mode))


@limits.command(name="set")
async def change(
    mode: Mode,
    values: list[str],
    /,
    *,
    reason: str,
    until: str | None = None,
    confirm: bool = False,
    server: Server = HERE,
) -> int:
    """Change limits of a mode, beside what was changed before.

    Parameters
    ----------
    mode
        Whose limits.
    values
        Each NAME=VALUE, as in positionPercent=7.5; durations in milliseconds.
    reason
        Why, for the audit log.
    until
        When the change ends, with its zone; without it it lasts.
    confirm
        Say that limits may become looser; without it only stricter ones are taken.
    """
    try:
        wanted = dict(_read(text) for text in values)
        before = decoded(await call(server, "GET", PATH))
    except CallFailed as failure:
        return failure.tell()
    values_now = _layer(before, mode, until) | wanted
    return await _put(server, mode, values_now, reason, until, before, confirm=confirm)


@limits.command(name="clear")
async def clear(mode: Mode, /, *, reason: str, confirm: bool = False, server: Server = HERE) -> int:
    """Take back what was changed for good: the limits of the mode are as configured.

    Parameters
    ----------
    mode
        Whose limits.
    reason
        Why, for the audit log.
    confirm
        Say that limits may become looser.
    """
    try:
        before = decoded(await call(server, "GET", PATH))
    except CallFailed as failure:
        return failure.tell()
    return await _put(server, mode, {}, reason, None, before, confirm=confirm)


@limits.command(name="history")
async def history(*, server: Server = HERE) -> int:
    """List every change ever made, the latest first."""
    return await tell(server, call(server, "GET", f"{PATH}/history"), _listed)


async def _put(
    server: Server,
    mode: Mode,
    wanted: Mapping[str, object],
    reason: str,
    until: str | None,
    before: Mapping[str, Any],
    *,
    confirm: bool,
) -> int:
    """Change them, unless somebody else has since `before` was read."""
    fields = {
        "mode": mode,
        "limits": {name: _number(value) for name, value in wanted.items()},
        "reason": reason,
        "expiresAt": until,
        "revision": before["revision"],
        "confirm": confirm,
    }
    answer = call(server, "PUT", PATH, fields=fields)
    return await tell(server, answer, lambda body: _changed(body, mode, wanted, until))


def _read(text: str) -> tuple[str, bool | Decimal]:
    name, equals, value = text.partition("=")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (name and equals and number.is_finite()):
        wish = "Write NAME=VALUE with a number, true or false, as in positionPercent=7.5."
        raise CallFailed(ExitCode.USAGE, f"{text} is no limit with its value", wish)
    return name, number


def _number(value: object) -> object:
    """A number as JSON writes it, in its own digits."""
    return msgspec.Raw(f"{value:f}".encode()) if isinstance(value, Decimal) else value


def _layer(answer: Mapping[str, Any], mode: Mode, until: str | None) -> dict[str, object]:
    """What was changed before in the layer that a change with that end replaces."""
    is_lasting = until is None
    made = (c for each in answer["modes"] if each["mode"] == mode for c in each["changes"])
    layers = (c["limits"] for c in made if (c["expiresAt"] is None) is is_lasting)
    return dict(next(layers, {}))


def _shown(answer: Mapping[str, Any], only: str | None) -> list[str]:
    modes = [each for each in answer["modes"] if only in (None, each["mode"])]
    heads = ["LIMIT", *(f"{each['mode'].upper()}" for each in modes)]
    rows = [
        (name, *(_marked(each, name) for each in modes)) for name in answer["modes"][0]["limits"]
    ]
    said = [f"revision {answer['revision']}, the agent's mode is {answer['activeMode']}"]
    said += table(tuple(heads), rows)
    changed = any("*" in cell for row in rows for cell in row[1:])
    return [*said, "* changed while running: `tradesaga limits history`"] if changed else said


def _marked(mode: Mapping[str, Any], name: str) -> str:
    is_changed = any(name in change["limits"] for change in mode["changes"])
    return f"{_text(mode['limits'][name])}{'*' if is_changed else ''}"


def _changed(
    answer: Mapping[str, Any], mode: Mode, wanted: Mapping[str, object], until: str | None
) -> list[str]:
    values = ", ".join(f"{name} {_text(value)}" for name, value in wanted.items())
    end = "" if until is None else f" until {until}"
    return [f"revision {answer['revision']}: {mode} is {values or 'as configured'}{end}"]


def _listed(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            str(change["revision"]),
            moment(change["madeAt"]),
            change["mode"],
            ", ".join(f"{n} {_text(v)}" for n, v in change["limits"].items()) or "as configured",
            "" if change["expiresAt"] is None else moment(change["expiresAt"]),
            change["actor"],
            change["reason"],
        )
        for change in answer["changes"]
    ]
    heads = ("REV", "AT", "MODE", "LIMITS", "UNTIL", "BY", "REASON")
    return table(heads, rows) if rows else ["no changes: the limits are as configured"]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
