"""Addresses that no neighbour can have: where clouds keep the credentials of their machines."""

from __future__ import annotations

import pytest

from tradesaga.config.section import http_url
from tradesaga.config.values import Unfit


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254", "http://169.254.169.254:80/latest", "http://[fe80::1]:3001",
        "http://[::ffff:169.254.169.254]", "http://0.0.0.0:3001", "http://224.0.0.1",
        "http://user:secret@host", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_no_neighbour_is_there(url: str) -> None:
    with pytest.raises(Unfit):
        http_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3001", "https://engine.example", "http://[::1]:1", "http://10.0.0.7"]
)
def test_a_neighbour_may_be_there(url: str) -> None:
    assert http_url(url) == url
