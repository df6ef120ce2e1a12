"""The three forms of variables, what stays as it is, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.config.substitution import substitute

ENVIRONMENT = {"A": "1", "EMPTY": "", "NESTED": "${A}"}


@pytest.mark.parametrize(
    ("text", "result", "variables"),
    [
        ("${A}", "1", ("A",)),
        ("x${A}y${A}", "x1y1", ("A",)),
        ("${EMPTY}", "", ("EMPTY",)),
        ("${NOPE:-d}", "d", ()),
        ("${NOPE:-}", "", ()),
        ("${EMPTY:-d}", "d", ()),
        ("${A:-d}", "1", ("A",)),
        ("${A:?m}", "1", ("A",)),
        ("${NOPE:-http://h:1/?a=$b}", "http://h:1/?a=$b", ()),
        ("${NESTED}", "${A}", ("NESTED",)),
        ("$5", "$5", ()),
        ("p@ss$w0rd$", "p@ss$w0rd$", ()),
        ("$A {A}", "$A {A}", ()),
        ("a\\b", "a\\b", ()),
    ],
)
def test_substitution(text: str, result: str, variables: tuple[str, ...]) -> None:
    found = substitute(text, ENVIRONMENT)
    assert (found.text, found.variables, found.unfit) == (result, variables, ())


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("${NOPE}", "the variable NOPE is not set", "set NOPE, write a value, or ${NOPE:-default}"),
        ("${NOPE:?ask the desk}", "NOPE is not set: ask the desk", "set NOPE"),
        ("${EMPTY:?m}", "EMPTY is not set: m", "set EMPTY"),
        ("${A:default}", "in no form", "write ${A:-default}"),
        ("${A-default}", "in no form", "write ${A:-default}"),
        ("${}", "in no form", "write ${VAR:-default}"),
        ("${1A}", "in no form", "write ${VAR:-default}"),
        ("${A", "has no }", "close it"),
        ("${A:-${B}}", "within a variable", "one level"),
    ],
)
def test_refusal(text: str, what: str, remedy: str) -> None:
    (unfit,) = substitute(text, ENVIRONMENT).unfit
    assert what in unfit.what
    assert remedy in unfit.remedy


def test_all_refusals_of_a_text_are_found() -> None:
    assert len(substitute("${X}:${Y}:${Z:q}", {}).unfit) == 3


@given(st.text())
def test_text_without_the_opening_stays(text: str) -> None:
    plain = text.replace("${", "")
    if "${" not in plain:
        assert substitute(plain, {}).text == plain


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="${"), max_size=5))
def test_a_variable_is_inserted_verbatim(value: str, before: str) -> None:
    assert substitute(before + "${V}" + before, {"V": value}).text == before + value + before
