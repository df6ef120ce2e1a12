"""What `tradesaga up` shows: a line per cycle, and under them a bar over the recorded sessions.

On a terminal every cycle has its line and the bar moves below. Elsewhere, or with NO_COLOR, the
lines are plain, and of the cycles only those that did something and one each half hour of the
simulated day: a log of a day stays a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Final, Self
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tradesaga.adapters.postgres.tally import FinishedCycle

NEW_YORK: Final = ZoneInfo("America/New_York")
MINUTE: Final = timedelta(minutes=1)
TOLD_EVERY_MINUTES: Final = 30
"""How often a quiet market is told of where there is no terminal."""
REFRESHES_PER_SECOND: Final = 5
_BAR_WIDTH: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The recorded sessions, each from its first minute to the end of its last one."""

    sessions: Sequence[tuple[datetime, datetime]]

    @property
    def minutes(self) -> float:
        """How long all sessions are together."""
        return sum((end - start) / MINUTE for start, end in self.sessions)

    def minutes_at(self, now: datetime) -> float:
        """How much of that has been played at a moment of market time."""
        return sum(
            max(timedelta(0), min(now, end) - start) / MINUTE for start, end in self.sessions
        )

    def session_at(self, now: datetime) -> int:
        """The number of the session that is played or comes next, from 1."""
        ended = sum(1 for _, end in self.sessions if end <= now)
        return min(ended + 1, len(self.sessions))


class Display:
    """The lines and the bar; a context manager, so that the terminal is always left whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = console.is_terminal and not console.no_color
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end_bar()

    def say(self, text: str, style: str = "") -> None:
        """Show a line."""
        self._console.print(
            Text(text, style=style if self._is_live else ""), soft_wrap=True, highlight=False
        )

    def cycle(self, cycle: FinishedCycle) -> None:
        """Show a cycle, if it is worth its line here."""
        if self._is_live or _is_worth_telling(cycle):
            self._console.print(_line_of(cycle, styled=self._is_live), soft_wrap=True)

    def bar(self, played: Played, now: datetime, *, note: str) -> None:
        """Move the bar; nothing where there is no terminal."""
        if not self._is_live:
            return
        shown = _bar(played, now, note)
        if self._live is None:
            self._live = Live(
                shown,
                console=self._console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
            )
            self._live.start()
        else:
            self._live.update(shown)

    def end_bar(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _bar(played: Played, now: datetime, note: str) -> Table:
    local = now.astimezone(NEW_YORK)
    share = played.minutes_at(now) / max(played.minutes, 1.0)
    row = Table.grid(padding=(0, 1))
    row.add_row(
        Text(f"session {played.session_at(now)}/{len(played.sessions)}", style="bold"),
        Text(f"{local:%a %Y-%m-%d %H:%M} New York"),
        ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH),
        Text(f"{100 * share:3.0f} %"),
        Text(note, style="dim"),
    )
    return row


def _is_worth_telling(cycle: FinishedCycle) -> bool:
    minute = cycle.scheduled_at.astimezone(NEW_YORK).minute
    did_something = bool(cycle.acting) or cycle.orders_submitted > 0
    went_wrong = bool(cycle.errors) or cycle.status != "completed"
    return did_something or went_wrong or minute % TOLD_EVERY_MINUTES == 0


def _line_of(cycle: FinishedCycle, *, styled: bool) -> Text:
    def style(name: str) -> str:
        return name if styled else ""

    local = cycle.scheduled_at.astimezone(NEW_YORK)
    line = Text()
    line.append(f"{local:%H:%M} NY", style=style("bold"))
    line.append(f"  {cycle.scheduled_at.astimezone(UTC):%Y-%m-%d %H:%M}Z", style=style("dim"))
    wish = cycle.acting or ("hold" if cycle.decisions_generated else "none")
    line.append(f"  decisions {cycle.decisions_generated}: {wish:<11}")
    line.append(f"  filled {cycle.orders_filled}/{cycle.orders_submitted}")
    line.append(f"  {cycle.positions or 'flat':<8}", style=style("cyan"))
    if cycle.profit is not None:
        line.append(f"  {money(cycle.profit)}", style=style(_color(cycle.profit)))
    if cycle.sagas:
        line.append(f"  saga {cycle.sagas}", style=style("yellow"))
    if cycle.status != "completed":
        line.append(f"  {cycle.status}", style=style("bold red"))
    if cycle.errors:
        line.append(f"  {_counted(cycle.errors)}", style=style("red"))
    return line


def _counted(errors: Sequence[str]) -> str:
    """Each text once, with how often it came."""
    return "; ".join(
        text if number == 1 else f"{number} x {text}" for text, number in Counter(errors).items()
    )


def money(amount: Decimal) -> str:
    """Dollars with sign, thousands and cents."""
    return f"{amount:+,.2f}"


def _color(amount: Decimal) -> str:
    if amount == 0:
        return ""
    return "green" if amount > 0 else "red"
