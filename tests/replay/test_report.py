"""The reports: what they say is what the run was, and the page stands alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from typing_extensions import override

from tests.replay.scripts import SHORT, figures, script
from tradesaga.bootstrap.replaying import ReplayOptions, replay
from tradesaga.bootstrap.scripting import ScriptOptions, configuration
from tradesaga.cli.replay_rendering import replayed_text
from tradesaga.domain.errors import Invalid
from tradesaga.replay.figures import Drawdown, Figures, Point, drawdown_of
from tradesaga.replay.page import page
from tradesaga.replay.playing import play
from tradesaga.replay.plot import Curve, drawdown_plot, equity_plot

D = Decimal
AT = datetime(2020, 12, 15, 15, 0, tzinfo=UTC)
OPTIONS = ScriptOptions(begin=SHORT[0], end=SHORT[1])


@pytest.fixture(scope="module")
def run() -> Figures:
    return figures(play(script()))


def points(*equities: str) -> list[Point]:
    first = D(equities[0])
    return [
        Point(at=AT + timedelta(minutes=n), equity=D(text), profit=D(text) - first)
        for n, text in enumerate(equities)
    ]


@pytest.mark.parametrize(
    ("equities", "amount", "percent", "minute"),
    [
        (("100", "100"), "0", "0", None),
        (("100", "90", "110", "99"), "11", "10.0000", 3),  # 11 of 110, deeper than 10 of 100
        (("100", "80", "200", "190"), "20", "20.0000", 1),
    ],
)
def test_drawdown(equities: tuple[str, ...], amount: str, percent: str, minute: int | None) -> None:
    at = None if minute is None else AT + timedelta(minutes=minute)
    expected = Drawdown(amount=D(amount), percent=D(percent), at=at)
    assert drawdown_of(points(*equities)) == expected


class Page(HTMLParser):
    """Every tag's attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_has_what_the_run_was_and_needs_nothing_else(run: Figures) -> None:
    text = page(run)
    read = Page(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in read.tags}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in read.tags)
    assert "url(" not in text
    assert "@import" not in text
    for said in (run.log_hash, run.config_hash, run.data, str(run.seed), f"{run.profit:+,.2f}"):
        assert said in read.words, said
    rows = [word for word in read.words if word.endswith("Z")]
    assert len(rows) == len(run.order_list) + sum(1 for d in run.decision_list if d.codes)


def test_text_of_others_is_escaped(run: Figures) -> None:
    odd = msgspec.structs.replace(run, symbols=["<b>&"])
    assert "<b>&" not in page(odd)
    assert "&lt;b&gt;&amp;" in page(odd)


def test_the_plots_are_drawn_to_scale() -> None:
    curve = Curve(name="one", style="first", points=points("100", "110", "105"))
    tree = ET.fromstring(equity_plot([curve]))
    [line] = tree.findall("polyline")
    (x0, y0), (x1, y1), (x2, y2) = [
        tuple(map(float, place.split(","))) for place in line.attrib["points"].split()
    ]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert (y0 - y2) / (y0 - y1) == pytest.approx(0.5, abs=0.01)  # 105 is half way to 110
    ticks = [text.text for text in tree.findall("text")]
    assert {"100", "110"} <= set(ticks)
    falls = ET.fromstring(drawdown_plot([curve]))
    [fall] = falls.findall("polyline")
    depths = [float(place.split(",")[1]) for place in fall.attrib["points"].split()]
    assert depths[0] == depths[1] < depths[2]


@pytest.mark.parametrize("equities", [("100",), ("100", "100"), ("0.001", "0.002")])
def test_a_plot_of_almost_nothing_is_a_plot(equities: tuple[str, ...]) -> None:
    curve = Curve(name="one", style="first", points=points(*equities))
    for plot in (equity_plot, drawdown_plot):
        assert ET.fromstring(plot([curve])).findall("polyline")
    assert "No analysis" in equity_plot([Curve(name="none", style="first", points=())])


def what_if(tmp_path: Path, text: str) -> ReplayOptions:
    limits = tmp_path / "limits.yaml"
    limits.write_text(text, encoding="utf-8")
    return ReplayOptions(
        script=OPTIONS, what_if=limits, html=tmp_path / "r.html", json=tmp_path / "r.json"
    )


def test_other_limits_show_what_they_change(tmp_path: Path) -> None:
    options = what_if(tmp_path, "ordersPerDay: 2\nordersPerMinute: 1\n")
    shares: list[float] = []
    done = replay(options, {}, shares.append)
    assert done.other is not None
    assert done.changes is not None
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert {one.key for one in done.changes.limits} == {"risk.ordersPerDay", "risk.ordersPerMinute"}
    [blocked] = [one for one in done.changes.numbers if one.group == "blocks"]
    assert (blocked.name, blocked.before) == ("ORDER_RATE", D(0))
    assert blocked.after == done.other.blocks["ORDER_RATE"]
    denied = [one for one in done.changes.decisions if "denied ORDER_RATE" in one.after]
    assert denied
    assert "allowed" in denied[0].before
    lost = [one for one in done.changes.orders if not one.after]
    assert len(done.figures.order_list) - len(done.other.order_list) == len(lost)
    text = "\n".join(replayed_text(done))
    assert "risk.ordersPerDay" in text
    assert "denied ORDER_RATE" in text
    html = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert sum(1 for tag, _ in html.tags if tag == "polyline") == 4
    report = msgspec.json.decode((tmp_path / "r.json").read_bytes())
    assert report["changes"]["numbers"]
    assert report["baseline"]["logHash"] == done.figures.log_hash != report["whatIf"]["logHash"]


def test_the_same_limits_change_nothing(tmp_path: Path) -> None:
    done = replay(what_if(tmp_path, "ordersPerDay: 200\n"), {}, lambda _: None)
    assert done.changes is not None
    assert done.figures == done.other
    assert (done.changes.limits, done.changes.decisions, done.changes.orders) == ([], [], [])
    assert {one.difference for one in done.changes.numbers} == {0}
    assert "no decision differs" in replayed_text(done)


def test_keys_that_are_no_limits_are_refused_with_their_place(tmp_path: Path) -> None:
    options = what_if(tmp_path, "ordersPerDy: 2\nprofiles:\n  normal:\n    speed: 1\n")
    with pytest.raises(Invalid) as refused:
        replay(options, {}, lambda _: None)
    first, second = refused.value.problems
    assert "orchestrator.risk.ordersPerDy: unknown key" in first
    assert "did you mean ordersPerDay?" in first
    assert "orchestrator.risk.profiles.normal.speed" in second
    assert "line 4" in second


def test_limits_of_a_file_win_over_environment(tmp_path: Path) -> None:
    limits = what_if(tmp_path, "ordersPerDay: 31\n").what_if
    environment = {"ORCHESTRATOR__RISK__ORDERSPERDAY": "40"}
    settings = configuration(OPTIONS, environment, limits=limits).settings
    assert settings.risk.orders_per_day == 31


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    short = ScriptOptions(begin=SHORT[0], end=SHORT[0] + timedelta(minutes=1))
    with pytest.raises(Invalid, match="cannot be written"):
        replay(ReplayOptions(script=short, html=tmp_path), {}, lambda _: None)
