"""What `serve` and `up` make of a NATS server that acknowledges before its disk has the message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tradesaga.bootstrap.databases import check_bus
from tradesaga.bootstrap.serving import _bus_looked_at
from tradesaga.config import Settings, load
from tradesaga.domain.errors import Invalid
from tradesaga.embedded.binaries import find_nats
from tradesaga.embedded.probes import http_probe
from tradesaga.embedded.program import Program


def settings_of(client: int, monitor: int | None, **more: object) -> Settings:
    servers = {"DB_HOST": "db", "DB_PORT": "1", "NATS_URL": f"nats://127.0.0.1:{client}"}
    found = load(None, servers).settings
    url = "" if monitor is None else f"http://127.0.0.1:{monitor}"
    bus = replace(found.event_bus, monitor_url=url, **more)  # type: ignore[arg-type]  # checked by replace
    return replace(found, event_bus=bus)


@pytest.fixture
async def lazy(state_dir: Path, unused_ports: tuple[int, int]) -> AsyncIterator[tuple[int, int]]:
    """A server with JetStream and NATS's own sync_interval of two minutes: client and monitor."""
    client, monitor = unused_ports
    binary = await find_nats(state_dir, None)
    store = str(state_dir / "lazy")
    argv = [
        str(binary.path), "-a", "127.0.0.1", "-p", str(client), "-m", str(monitor),
        "-js", "-sd", store,
    ]  # fmt: skip
    program = Program("lazy", argv, dict, state_dir / "lazy.log", http_probe(monitor, "/healthz"))
    await program.start()
    try:
        yield client, monitor
    finally:
        await program.stop()


async def test_serve_refuses_it_by_name_unless_a_person_accepts_it(lazy: tuple[int, int]) -> None:
    with pytest.raises(Invalid) as caught:
        await _bus_looked_at(settings_of(*lazy))
    [problem] = caught.value.problems
    assert "sync_interval: always" in problem
    assert "eventBus.acceptLazySync" in problem
    accepted = settings_of(*lazy, accept_lazy_sync=True)
    await _bus_looked_at(accepted)
    assert "before it is on the disk" in (await check_bus(accepted))[0], "it is said all the same"


async def test_without_a_monitoring_address_it_is_not_known_and_nothing_is_refused(
    lazy: tuple[int, int],
) -> None:
    unknown = settings_of(lazy[0], None)
    await _bus_looked_at(unknown)
    assert "eventBus.monitorUrl" in (await check_bus(unknown))[0]


async def test_a_bus_that_is_away_hinders_no_start(unused_ports: tuple[int, int]) -> None:
    await _bus_looked_at(settings_of(*unused_ports))
