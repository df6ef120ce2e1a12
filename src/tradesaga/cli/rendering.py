"""The API's answers as text for people: aligned columns without borders, times in UTC."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

NOTHING: Final = "-"
_CYCLE_COLUMNS: Final = (
    "STARTED",
    "TYPE",
    "STATUS",
    "DURATION",
    "DECISIONS",
    "ORDERS",
    "ERRORS",
    "ID",
)
_CYCLE_NUMBERS: Final = (3, 4, 5, 6)
_CYCLE_WIDTHS: Final = (20, 9, 9, 8, 9, 6, 6, 36)
"""Of a line that stands alone, when the rows to come are not known."""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    widths: Sequence[int] | None = None,
) -> list[str]:
    """Lines of aligned columns; the columns in `right` are aligned to the right."""
    cells = [[_printable(cell) for cell in row] for row in (header, *rows) if row]
    columns = range(max((len(row) for row in cells), default=0))
    needed = widths or [max(len(row[column]) for row in cells) for column in columns]
    return [
        "  ".join(
            cell.rjust(needed[column]) if column in right else cell.ljust(needed[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in cells
    ]


def status_text(status: Mapping[str, Any]) -> list[str]:
    """The agent in a few lines, and its strategies."""
    rows = [
        ("agent", f"{status['status']}, mode {status['mode']}, up {span(status['uptime'])}"),
        ("detail", status["detail"]),
        ("current cycle", _current(status["currentCycle"])),
        ("last cycle", _last(status["lastCycle"])),
        ("next cycle", moment(status["nextScheduledCycle"])),
        ("counted", _counted(status["stats"])),
    ]
    if status["pauseReasons"]:
        until = f", until {moment(status['resumeAt'])}" if status["resumeAt"] else ""
        rows.insert(1, ("paused by", ", ".join(status["pauseReasons"]) + until))
    if status["lastError"]:
        rows.append(("last error", f"{moment(status['lastErrorAt'])} {status['lastError']}"))
    return [*table((), rows), "", *strategies_table(status["activeStrategies"])]


def started_text(answer: Mapping[str, Any]) -> list[str]:
    """The answer to start."""
    number = len(answer["activeStrategies"])
    active = f"{number} active {'strategy' if number == 1 else 'strategies'}"
    return [f"started {moment(answer['startedAt'])}, {active}, agent {answer['agentId']}"]


def stopped_text(answer: Mapping[str, Any]) -> list[str]:
    """The answer to stop."""
    return [
        f"stopped {moment(answer['stoppedAt'])}, {answer['openPositions']} open positions, "
        f"{answer['pendingOrders']} pending orders",
        *(
            f"in flight: {one['side']} {one['symbol']}, order {one['orderStatus']}, "
            f"saga {one['sagaStatus']}, `tradesaga sagas show {one['sagaId']}`"
            for one in answer["inFlight"]
        ),
    ]


def paused_text(answer: Mapping[str, Any]) -> list[str]:
    """The answer to pause."""
    until = moment(answer["resumeAt"]) if "resumeAt" in answer else "`tradesaga resume`"
    return [f"{answer['status']} until {until}; exits and running trades go on"]


def resumed_text(answer: Mapping[str, Any]) -> list[str]:
    """The answer to resume."""
    if answer["pauseReasons"]:
        return [f"{answer['status']}: still paused by {', '.join(answer['pauseReasons'])}"]
    return [f"{answer['status']} since {moment(answer['resumedAt'])}"]


def cycles_text(answer: Mapping[str, Any]) -> list[str]:
    """The list of cycles."""
    rows = [_cycle_row(cycle) for cycle in answer["cycles"]]
    return table(_CYCLE_COLUMNS, rows, right=_CYCLE_NUMBERS)


def cycle_line(cycle: Mapping[str, Any] | None) -> str:
    """One cycle in the columns of the list; the header for None."""
    row = _CYCLE_COLUMNS if cycle is None else _cycle_row(cycle)
    return table(row, (), right=_CYCLE_NUMBERS, widths=_CYCLE_WIDTHS)[0]


def cycle_text(record: Mapping[str, Any]) -> list[str]:
    """One cycle with its decisions, orders and log lines."""
    cycle = record["cycle"]
    head = [
        ("cycle", cycle["id"]),
        ("type", f"{cycle['type']}, by {cycle['triggeredBy']}"),
        ("status", f"{cycle['status']} ({cycle['outcome']}), {cycle['progress']} %"),
        ("started", moment(cycle["startedAt"])),
        ("ended", f"{moment(cycle['completedAt'])} after {_duration(cycle['duration'])}"),
    ]
    head += [("error", f"{e['strategyId'] or 'cycle'}: {e['error']}") for e in cycle["errors"]]
    return [
        *table((), head),
        *section("decisions", _decisions(record["decisions"])),
        *section("orders", _orders(record["orders"])),
        *section("log", _logs(record["logs"])),
    ]


def moment(at: str | None) -> str:
    """A timestamp of the API without fractions."""
    return NOTHING if at is None else f"{at[:10]} {at[11:19]}Z"


def counted(found: int, what: str) -> str:
    """So many of what, in words: `1 order`, `2 orders`."""
    return f"{found} {what}" if found == 1 else f"{found} {what}s"


def span(seconds: float) -> str:
    """Seconds as 1d 02h 03m 04s, without leading zero units."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h {minute:02}m {second:02}s"
    if hour:
        return f"{hour}h {minute:02}m {second:02}s"
    return f"{minute}m {second:02}s" if minute else f"{second}s"


def more(answer: Mapping[str, Any]) -> list[str]:
    """How to see the next page, if there is one."""
    cursor = answer["nextCursor"]
    return [] if cursor is None else [f"more: --cursor {cursor}"]


def section(title: str, lines: list[str]) -> list[str]:
    """A titled block below what came before; nothing without lines."""
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _cycle_row(cycle: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        moment(cycle["startedAt"]),
        cycle["type"],
        cycle["status"],
        _duration(cycle["duration"]),
        str(cycle["decisions"]),
        str(cycle["orders"]),
        str(len(cycle["errors"])),
        cycle["id"],
    )


def strategies_table(strategies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Strategies with their standing and figures."""
    if not strategies:
        return ["no strategies"]
    rows = [
        (
            strategy["name"],
            strategy["status"],
            strategy["mode"],
            strategy["type"],
            ",".join(strategy["symbols"]),
            number(strategy["performance"]["pnl"]),
            str(strategy["performance"]["trades"]),
            f"{100 * strategy['performance']['winRate']:.0f} %",
            moment(strategy["lastRun"]),
        )
        for strategy in strategies
    ]
    header = ("STRATEGY", "STATUS", "MODE", "TYPE", "SYMBOLS", "PNL", "TRADES", "WINS", "LAST RUN")
    return table(header, rows, right=(5, 6, 7))


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            d["symbol"],
            d["action"],
            number(d["quantity"]),
            number(d["referencePrice"]),
            d["verdict"],
            "; ".join(f"{x['code']}: {x['message']}" for x in d["denials"]) or d["reasoning"],
        )
        for d in decisions
    ]
    header = ("SYMBOL", "ACTION", "QUANTITY", "PRICE", "VERDICT", "WHY")
    return table(header, rows, right=(2, 3)) if rows else []


def _orders(orders: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            o["symbol"],
            o["side"],
            o["type"],
            number(o["quantity"]),
            number(o["filledQuantity"]),
            number(o["averagePrice"]),
            o["status"],
            o["clientOrderId"],
        )
        for o in orders
    ]
    header = ("SYMBOL", "SIDE", "TYPE", "QUANTITY", "FILLED", "AT", "STATUS", "CLIENT ORDER ID")
    return table(header, rows, right=(3, 4, 5)) if rows else []


def _logs(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    return table((), [(line["timestamp"][11:23], line["level"], line["message"]) for line in lines])


def _current(cycle: Mapping[str, Any] | None) -> str:
    if cycle is None:
        return NOTHING
    return (
        f"{cycle['type']}, {cycle['progress']} %, since {moment(cycle['startedAt'])}, {cycle['id']}"
    )


def _last(cycle: Mapping[str, Any] | None) -> str:
    if cycle is None:
        return NOTHING
    return (
        f"{cycle['type']} {cycle['status']} {moment(cycle['completedAt'])} "
        f"after {_duration(cycle['duration'])}, {counted(cycle['decisions'], 'decision')}, "
        f"{counted(cycle['orders'], 'order')}, {cycle['id']}"
    )


def _counted(stats: Mapping[str, Any]) -> str:
    return (
        f"{counted(stats['cyclesCompleted'], 'cycle')}, "
        f"{counted(stats['decisionsGenerated'], 'decision')}, "
        f"{counted(stats['ordersExecuted'], 'order')}, {counted(stats['errors'], 'error')}"
    )


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return NOTHING
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def number(value: Decimal | int | None) -> str:
    """Without trailing zeros, at most eight places: a mean price has as many as there are."""
    if value is None:
        return NOTHING
    text = f"{round(Decimal(value), 8):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _printable(text: str) -> str:
    """Control characters out: text of a model or a venue must not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
