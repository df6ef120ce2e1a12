"""Connections against real sockets: whose answer it is, and when a connection is used again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tradesaga.adapters.http import connections
from tradesaga.adapters.http.connections import Connections
from tradesaga.adapters.http.transport import Answer, BadAnswer, Origin, Request
from tradesaga.domain.errors import NotSent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Answers the requests of all connections in turn with `replies`, the last for ever."""

    replies: Sequence[bytes | Reply]
    secured: ssl.SSLContext | None = None
    heads: list[bytes] = field(default_factory=list)
    connected: int = 0
    gone: int = 0
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Connections]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.secured)
        self.port = server.sockets[0].getsockname()[1]
        pool = Connections()
        try:
            yield pool
        finally:
            await pool.close()
            await until(lambda: self.gone == self.connected)
            server.close()

    def request(self, target: str = "/", bytes_max: int = 1000) -> Request:
        scheme = "http" if self.secured is None else "https"
        return Request(
            origin=Origin.of(f"{scheme}://127.0.0.1:{self.port}"),
            method="GET",
            target=target,
            headers={},
            bytes_max=bytes_max,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                reply = self.replies[min(len(self.heads), len(self.replies)) - 1]
                if isinstance(reply, bytes):
                    writer.write(reply)
                    if b"close" in reply:
                        break
                else:
                    await reply(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has let go
        finally:
            writer.close()
            self.gone += 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- a socket has no event for the other side
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "written",
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nX: close\r\n\r\nok",
    ],
    ids=["length", "interim", "chunks", "to the end", "old"],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["in drops", "at once"])
async def test_an_answer_is_read_however_it_ends(written: bytes, size: int) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        for begin in range(0, len(written), size):
            writer.write(written[begin : begin + size])
            await writer.drain()
            await asyncio.sleep(0)
        if b"close" in written:
            writer.close()

    server = Server([reply])
    async with server.running() as pool:
        for _ in range(2):
            answer = await pool.send(server.request())
            assert (answer.status, answer.body) == (200, b"ok")
    assert server.connected == (2 if b"close" in written else 1)


async def test_no_body_is_waited_for_where_none_can_be() -> None:
    server = Server([b"HTTP/1.1 204 No Content\r\nDate: then\r\n\r\n", OK])
    async with server.running() as pool:
        empty = await pool.send(server.request())
        assert empty == Answer(status=204, headers={"date": "then"}, body=b"")
        assert (await pool.send(server.request())).body == b"ok"
    assert server.connected == 1


@pytest.mark.parametrize(
    "written",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nokclose",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: close\r\n\r\n1\r\no\r\n",
        b"HTTP/1.1 200 OK\r\nX: close",
        b"close",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nclose",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\nclose" + b" " * 996,
        b"HTTP/1.1 200 OK\r\nX-Close: close" + b" x" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
    ids=["short", "chunk", "head", "garbage", "upgrade", "long", "long head", "nothing"],
)
async def test_what_is_no_whole_answer_is_an_error(written: bytes) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(written.replace(b"okclose", b"ok"))
        writer.close()

    server = Server([reply, OK])
    async with server.running() as pool:
        with pytest.raises(OSError, match=r"ended|cannot be read|more than"):
            await pool.send(server.request())
        assert (await pool.send(server.request())).body == b"ok"


@pytest.mark.parametrize(
    "more",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x", b"\r\nHTTP/1.1"],
    ids=["an answer", "a byte", "half of one"],
)
@pytest.mark.parametrize("later", [False, True])
async def test_what_comes_unasked_is_no_answer_to_the_next(more: bytes, later: bool) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(OK if later else OK + more)
        if later:
            await asyncio.sleep(0.02)
            writer.write(more)

    server = Server([reply, OK])
    async with server.running() as pool:
        assert (await pool.send(server.request())).body == b"ok"
        if later:
            await until(lambda: server.gone == 1)
        assert (await pool.send(server.request())).body == b"ok"
    assert server.connected == 2


async def test_a_connection_whose_answer_nobody_waits_for_is_not_used_again() -> None:
    arrived = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    server = Server([late, OK])
    async with server.running() as pool:
        asking = asyncio.create_task(pool.send(server.request()))
        await arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await pool.send(server.request())).body == b"ok"
    assert server.connected == 2


async def test_a_kept_connection_that_the_server_closes_is_left_alone() -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    server = Server([reply])
    async with server.running() as pool:
        for number in range(1, 4):
            await pool.send(server.request())
            await until(lambda: server.gone == number)  # noqa: B023 -- it is over by then
            await asyncio.sleep(0.01)
    assert server.connected == 3


async def test_a_connection_that_is_to_end_is_not_used_again() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok"
    server = Server([last])  # and leaves the end to us
    async with server.running() as pool:
        for _ in range(2):
            await pool.send(server.request())
    assert server.connected == 2


async def test_connections_are_kept_for_a_while_and_not_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS_MAX", 0.2)
    monkeypatch.setattr(connections, "IDLE_MAX", 2)
    server = Server([OK])
    async with server.running() as pool:
        await asyncio.gather(*(pool.send(server.request()) for _ in range(5)))
        await until(lambda: server.gone == 3)
        await pool.send(server.request())
        assert server.connected == 5
        await asyncio.sleep(0.25)
        await pool.send(server.request())
        assert server.connected == 6
        await until(lambda: server.gone == 5)


async def test_no_more_are_in_use_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 3)
    held, go = 0, asyncio.Event()

    async def hold(writer: asyncio.StreamWriter) -> None:
        nonlocal held
        held += 1
        await go.wait()
        writer.write(OK)

    server = Server([hold])
    async with server.running() as pool, asyncio.TaskGroup() as group:
        for _ in range(7):
            group.create_task(pool.send(server.request()))
        await until(lambda: held == 3)
        await asyncio.sleep(0.02)
        assert held == 3
        go.set()
    assert server.connected == 3


async def test_leave_is_asked_last_of_all_and_nothing_goes_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)
    go, refusal = asyncio.Event(), ""

    async def hold(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    server = Server([hold])
    async with server.running() as pool:
        first = asyncio.create_task(pool.send(server.request("/first")))
        await until(lambda: len(server.heads) == 1)
        second = Request(
            origin=first_origin(server), method="POST", target="/second", headers={},
            body=b"{}", leave=lambda: refusal, bytes_max=9,
        )  # fmt: skip
        asking = asyncio.create_task(pool.send(second))
        await asyncio.sleep(0.01)  # it waits for a connection
        refusal = "no"
        go.set()
        await first
        with pytest.raises(NotSent, match="no"):
            await asking
        refusal = ""
        await pool.send(second)
    assert [head.split()[1] for head in server.heads] == [b"/first", b"/second"]
    assert server.connected == 1, "nothing was sent on it, so it is still good"


def first_origin(server: Server) -> Origin:
    return server.request().origin


@pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\nb", "a\x00", "ä"])
def test_no_part_of_a_request_ends_its_line(bad: str) -> None:
    good = Request(origin=Origin.of("http://x"), method="GET", target="/", headers={}, bytes_max=9)
    assert good.encoded() == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for request in (
        Request(origin=good.origin, method="GET", target=f"/{bad}", headers={}, bytes_max=9),
        Request(origin=good.origin, method="GET", target="/", headers={"X": bad}, bytes_max=9),
    ):
        with pytest.raises(ValueError, match="no request can say"):
            request.encoded()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://venue", Origin(False, "venue", 80, "venue")),
        ("https://u:p@Venue:8443/x", Origin(True, "venue", 8443, "venue:8443")),
        ("http://[::1]:80", Origin(False, "::1", 80, "[::1]:80")),
        ("http://börse.example", Origin(False, "xn--brse-5qa.example", 80, "xn--brse-5qa.example")),
    ],
)
def test_an_origin_is_read_from_its_address(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize("url", ["ftp://x", "x:80", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no http"):
        Origin.of(url)


async def test_a_certificate_must_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    server = Server([OK], _secured(certificate))
    connections._trusting.cache_clear()
    async with server.running() as pool:
        with pytest.raises(OSError, match="certificate"):
            await pool.send(server.request())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connections._trusting.cache_clear()
        assert (await pool.send(server.request())).body == b"ok"
        assert (await pool.send(server.request())).body == b"ok"
    connections._trusting.cache_clear()
    assert len(server.heads) == 2


def _secured(place: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "venue")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    place.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    return context


def test_a_bad_answer_is_a_lost_connection_to_whoever_asks() -> None:
    assert issubclass(BadAnswer, OSError)
