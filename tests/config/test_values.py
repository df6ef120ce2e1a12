"""Readers of values, where a table of cases does not reach."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.config.values import Unfit, Untyped, decimal_upto, milliseconds, shown

READ = milliseconds(100, 86_400_000)


@given(st.integers(100, 86_400_000))
def test_milliseconds_come_back_exactly(number: int) -> None:
    assert READ(number) == READ(Untyped(str(number))) == timedelta(milliseconds=number)
    assert READ(number) // timedelta(milliseconds=1) == number


@given(
    st.one_of(
        st.integers(max_value=99),
        st.integers(min_value=86_400_001),
        st.decimals(),
        st.text(),
        st.booleans(),
        st.none(),
        st.lists(st.integers()),
        st.integers(100, 86_400_000).map(str),
        st.from_regex(r"[0-9]+(ms|s|m|h| )?", fullmatch=True),
    )
)
def test_milliseconds_refuse_all_else_with_a_remedy(value: object) -> None:
    with pytest.raises(Unfit) as caught:
        READ(value)
    assert caught.value.remedy.startswith("write ")


@given(st.text().filter(lambda text: not text.isascii() or not text.isdigit()))
def test_untyped_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        READ(Untyped(text))


@given(st.integers(1, 999_999), st.sampled_from([("ms", 1), ("s", 1000), ("m", 60_000)]))
def test_the_remedy_is_what_was_meant(number: int, unit: tuple[str, int]) -> None:
    meant = number * unit[1]
    with pytest.raises(Unfit) as caught:
        READ(f"{number}{unit[0]}")
    inside = 100 <= meant <= 86_400_000
    assert caught.value.remedy == (f"write {meant}" if inside else "write 100 to 86400000")


@given(st.decimals(min_value=Decimal("0.000001"), max_value=100, places=6))
def test_a_percentage_is_the_same_as_number_and_text(number: Decimal) -> None:
    read = decimal_upto(100)
    assert read(number) == read(f"{number:f}") == number


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), -1, 0, 101, True, None])
def test_a_percentage_out_of_range_is_refused(value: object) -> None:
    with pytest.raises(Unfit):
        decimal_upto(100)(value)


def test_a_quoted_value_is_short_one_line_and_without_login() -> None:
    assert shown("a\nb") == '"a\\nb"'
    assert len(shown("x" * 1000)) == 60
    assert shown("nats://u:p@ss/w,ord@h:1") == '"nats://***@h:1"'
