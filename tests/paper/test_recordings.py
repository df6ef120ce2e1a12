from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tradesaga.domain.errors import Invalid
from tradesaga.paper.csv_rows import BARS_HEADER, QUOTES_HEADER
from tradesaga.paper.minutes import start_of
from tradesaga.paper.recordings import load

D = Decimal
GOOD = "2020-12-15T14:30:00Z,SPY,10,11,9,10.5,100"


def written(folder: Path, text: str, name: str = "prices.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def bars(*rows: str) -> str:
    return "\n".join((BARS_HEADER, *rows)) + "\n"


@pytest.mark.parametrize(
    ("text", "line", "wrong", "remedy"),
    [
        ("", 1, "header", "the first line must be"),
        ("time,symbol,o,h,l,c,v\n" + GOOD, 1, "header", "the first line must be"),
        ("date,symbol,open,high,low,close,volume\n2011-01-03,A,1,1,1,1,1\n", 1, "rows by date",
         "give files of minute bars"),
        (bars(), None, "no rows", "record at least one minute"),
        (bars(GOOD + ",9"), 2, "8 fields instead of 7", "commas"),
        (bars("yesterday,SPY,10,11,9,10.5,100"), 2, "no moment", "write it like"),
        (bars("2020-12-15T14:30:00,SPY,10,11,9,10.5,100"), 2, "no zone", "a Z at the end"),
        (bars("2020-12-15T14:30:00-05:00,SPY,10,11,9,10.5,100"), 2, "not UTC", "convert it"),
        (bars("2020-12-15T14:30:30Z,SPY,10,11,9,10.5,100"), 2, "inside a minute", "the start"),
        (bars("2020-12-15T14:30:00Z,,10,11,9,10.5,100"), 2, "symbol", "1 to 10 letters"),
        (bars("2020-12-15T14:30:00Z,SPY,ten,11,9,10.5,100"), 2, 'open "ten"', "plain number"),
        (bars("2020-12-15T14:30:00Z,SPY,10,11,9,NaN,100"), 2, "close NaN", "plain number"),
        (bars("2020-12-15T14:30:00Z,SPY,10,Infinity,9,10,100"), 2, "high Infinity", "plain"),
        (bars("2020-12-15T14:30:00Z,SPY,10,11,-9,10,100"), 2, "low -9", "no row"),
        (bars("2020-12-15T14:30:00Z,SPY,10,11,9,10,-1"), 2, "volume -1", "0 or more"),
        (bars("2020-12-15T14:30:00Z,SPY,10,9,11,10,100"), 2, "low 11 is above high 9", "columns"),
        (bars("2020-12-15T14:30:00Z,SPY,12,11,9,10,100"), 2, "open 12", "correct the row"),
        (bars("2020-12-15T14:30:00Z,SPY,10,11,9,8,100"), 2, "close 8", "correct the row"),
        (bars("2020-12-15T14:30:00Z,SPY,10,1e300,9,10,1"), 2, "beyond any market", "plain"),
        (bars(GOOD, GOOD), 3, "twice", "one row per minute"),
        (bars(GOOD.replace("14:30", "14:31"), GOOD), 3, "not in order", "sort"),
        (bars(GOOD.replace("SPY", "TWX"), GOOD), 3, "not in order", "then symbol"),
        (f"{QUOTES_HEADER}\n2020-12-15T14:30:00Z,SPY,x,1,2,1\n", 2, 'bid "x"', "plain number"),
        (f"{QUOTES_HEADER}\n2020-12-15T14:30:00Z,SPY,0,1,2,1\n", 2, "bid 0", "no row"),
        (f"{QUOTES_HEADER}\n2020-12-15T14:30:00Z,SPY,1,-1,2,1\n", 2, "bid_size -1", "0 or more"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_place_and_remedy(
    tmp_path: Path, text: str, line: int | None, wrong: str, remedy: str
) -> None:
    with pytest.raises(Invalid) as refused:
        load([written(tmp_path, text)])
    (problem,) = refused.value.problems
    assert problem.startswith("prices.csv:" if line is None else f"prices.csv:{line}: ")
    assert wrong in problem
    assert remedy in problem


def test_all_problems_are_told_at_once_up_to_twenty(tmp_path: Path) -> None:
    three = bars(GOOD, GOOD.replace("10.5", "x"), GOOD.replace("SPY", "SPY "), "bad")
    with pytest.raises(Invalid) as refused:
        load([written(tmp_path, three)])
    assert [problem.split(":")[1] for problem in refused.value.problems] == ["3", "4", "5"]
    with pytest.raises(Invalid) as refused:
        load([written(tmp_path, bars(*["bad"] * 30), "many.csv")])
    assert len(refused.value.problems) == 20


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"absent\.csv: no such file"):
        load([tmp_path / "absent.csv"])


def test_a_folder_is_read_and_what_does_not_fit_is_named(tmp_path: Path) -> None:
    written(tmp_path, bars(GOOD), "bars.csv")
    written(tmp_path, f"{QUOTES_HEADER}\n2020-12-15T14:30:00Z,SPY,,,10.02,300\n", "quotes.csv")
    written(tmp_path, "date,symbol,price_factor,split_factor,reference_price\n", "factors.csv")
    written(tmp_path, "read me", "README.md")
    recording = load([tmp_path])
    assert recording.symbols == ("SPY",)
    row = recording.quotes["SPY"].rows[0]
    assert (row.bid, row.bid_size, row.ask, row.ask_size) == (None, D(0), D("10.02"), D(300))
    assert [notice.split(":")[0] for notice in recording.notices] == ["README.md", "factors.csv"]


def test_the_same_minute_in_two_files_is_refused(tmp_path: Path) -> None:
    first = written(tmp_path, bars(GOOD), "a.csv")
    second = written(tmp_path, bars(GOOD), "b.csv")
    with pytest.raises(Invalid, match=r"b\.csv: SPY at 2020-12-15T14:30:00\+00:00 is in another"):
        load([first, second])


def test_the_shipped_sessions_load_whole() -> None:
    recording = load()
    assert recording.symbols == ("SPY",)
    assert len(recording.bars["SPY"].rows) == 1564
    assert [span.day for span in recording.spans] == [date(2020, 12, day) for day in range(15, 19)]
    # Four sessions of 391 minutes; the last minute of each holds the closing auction.
    assert all(span.end - span.start == 391 for span in recording.spans)
    assert start_of(recording.spans[0].end - 1).isoformat() == "2020-12-15T21:00:00+00:00"
    # A sub-cent price stays as recorded: 14:33 opens at 367.345.
    assert recording.bars["SPY"].rows[3].open == Decimal("367.345")
