"""The keys of an issuer over HTTP: bounded in time and size, and from that address alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.adapters.http.test_client import read_request, serving
from tradesaga.adapters.http.key_set import ANSWER_BYTES_MAX, HttpKeySet
from tradesaga.domain.errors import DeadlineExceeded, Unavailable

KEYS = b'{"keys": []}'


async def answered(head: bytes, body: bytes = b"") -> bytes:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async with serving(handle) as url:
        keys = HttpKeySet(url=f"{url}/realms/x/certs", time_max=timedelta(seconds=20))
        try:
            return await keys.read()
        finally:
            await keys.close()


async def test_the_document_is_read_from_its_path() -> None:
    assert await answered(b"200 OK", KEYS) == KEYS


@pytest.mark.parametrize(
    "head",
    [
        b"302 Found\r\nLocation: http://169.254.169.254/", b"301 Moved\r\nLocation: /other",
        b"404 Not Found", b"500 Wrong", b"429 Often", b"204 Nothing",
    ],
)  # fmt: skip
async def test_nothing_else_is_a_document(head: bytes) -> None:
    if head.startswith(b"204"):
        assert await answered(head) == b""
        return
    with pytest.raises(Unavailable):
        await answered(head, KEYS)


async def test_an_answer_without_end_is_cut() -> None:
    with pytest.raises(Unavailable, match="more than"):
        await answered(b"200 OK", b" " * (ANSWER_BYTES_MAX + 1))


async def test_an_issuer_that_says_nothing_is_not_waited_for() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(handle) as url:
        keys = HttpKeySet(url=url, time_max=timedelta(milliseconds=50))
        with pytest.raises(DeadlineExceeded):
            await keys.read()
        await keys.close()


async def test_the_environments_proxy_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await answered(b"200 OK", KEYS) == KEYS
