"""Equity and drawdown as inline SVG: lines over the played minutes, nights left out.

Coordinates are rounded to tenths of a pixel; equal figures give equal text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import ceil, floor, log10

from tradesaga.paper.recordings import NEW_YORK
from tradesaga.replay.figures import Point

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960.0, 84.0, 12.0, 14.0, 24.0
EQUITY_HEIGHT, DRAWDOWN_HEIGHT = 280.0, 120.0
TICKS = 5
LABEL_PIXELS_MIN = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One run's account; `style` is a class of the style sheet."""

    name: str
    style: str
    points: Sequence[Point]


def equity_plot(curves: Sequence[Curve]) -> str:
    """The equity of each curve."""
    series = [[(p.at, float(p.equity)) for p in curve.points] for curve in curves]
    return _plot(curves, series, EQUITY_HEIGHT, title="Equity", area=False)


def drawdown_plot(curves: Sequence[Curve]) -> str:
    """How far each curve is below its peak."""
    return _plot(
        curves, [_falls(curve.points) for curve in curves], DRAWDOWN_HEIGHT, title="Drawdown",
        area=True,
    )  # fmt: skip


Series = list[tuple[datetime, float]]


def _falls(points: Sequence[Point]) -> Series:
    found, peak = [], 0.0
    for point in points:
        peak = max(peak, float(point.equity))
        found.append((point.at, float(point.equity) - peak))
    return found


class _Frame:
    """Where a moment and an amount lie on the paper."""

    def __init__(self, series: Sequence[Series], height: float) -> None:
        moments = sorted({at for one in series for at, _ in one})
        amounts = [amount for one in series for _, amount in one]
        low, high = min(amounts, default=0.0), max(amounts, default=0.0)
        step = _step(high - low)
        self.low, self.high = floor(low / step) * step, ceil(high / step) * step
        if self.low == self.high:
            self.high += step
        self.step = step
        self.height = height
        self.moments = moments
        self._places = {at: place for place, at in enumerate(moments)}

    def x(self, at: datetime) -> float:
        """Pixels from the left."""
        share = self._places[at] / max(len(self.moments) - 1, 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, amount: float) -> float:
        """Pixels from the top."""
        share = (self.high - amount) / (self.high - self.low)
        return TOP + share * (self.height - TOP - BOTTOM)

    def ticks(self) -> Iterator[float]:
        """The amounts that are labelled."""
        for number in range(round((self.high - self.low) / self.step) + 1):
            yield self.low + number * self.step


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are about `TICKS` of them."""
    rough = max(span, 0.01) / TICKS
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _plot(
    curves: Sequence[Curve], series: Sequence[Series], height: float, *, title: str, area: bool
) -> str:
    if not any(series):
        return "<p>No analysis cycle was completed.</p>"
    frame = _Frame(series, height)
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(title)}">',
        *_grid(frame),
        *_days(frame),
    ]
    for curve, one in zip(curves, series, strict=True):
        line = " ".join(f"{frame.x(at):.1f},{frame.y(amount):.1f}" for at, amount in one)
        if area and one:
            zero = frame.y(0.0)
            edge = f"{frame.x(one[0][0]):.1f},{zero:.1f}", f"{frame.x(one[-1][0]):.1f},{zero:.1f}"
            parts.append(f'<polygon class="{curve.style}" points="{edge[0]} {line} {edge[1]}"/>')
        name = escape(f"{title}, {curve.name}")
        parts.append(
            f'<polyline class="{curve.style}" points="{line}"><title>{name}</title></polyline>'
        )
    return "\n".join([*parts, "</svg>"])


def _grid(frame: _Frame) -> Iterator[str]:
    places = 0 if frame.step >= 1 else 2
    for amount in frame.ticks():
        y = frame.y(amount)
        yield f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield (
            f'<text class="tick" x="{LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">'
            f"{amount:,.{places}f}</text>"
        )


def _days(frame: _Frame) -> Iterator[str]:
    """A line where a day begins, its date where there is room for it."""
    day, free_from = None, 0.0
    for at in frame.moments:
        local = at.astimezone(NEW_YORK).date()
        if local == day:
            continue
        day, x = local, frame.x(at)
        bottom = frame.height - BOTTOM
        yield f'<line class="day" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{bottom:g}"/>'
        if x >= free_from:
            free_from = x + LABEL_PIXELS_MIN
            yield f'<text class="tick" x="{x + 3:.1f}" y="{frame.height - 8:g}">{local}</text>'
