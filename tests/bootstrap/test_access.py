"""An address that others reach, and whether anybody could be let in there."""

from __future__ import annotations

from typing import cast

import pytest

from tradesaga.bootstrap.access import must_be_guarded
from tradesaga.domain.errors import Invalid
from tradesaga.engine.token_book import TokenBook


class Book:
    def __init__(self, *, is_empty: bool) -> None:
        self.is_empty = is_empty


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_beyond_this_machine_there_must_be_a_token(host: str) -> None:
    must_be_guarded(host, cast("TokenBook", Book(is_empty=False)))
    with pytest.raises(Invalid, match="there is no token"):
        must_be_guarded(host, cast("TokenBook", Book(is_empty=True)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_one_may_come_later(host: str) -> None:
    must_be_guarded(host, cast("TokenBook", Book(is_empty=True)))
