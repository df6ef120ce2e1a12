"""The kill switch on disk: names, broken content, how fast a mark is noticed, full disks."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.adapters import halt_files
from tradesaga.adapters.halt_files import NAME, HaltFiles, mark, name_of, scope_of
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ladder import EVERYWHERE, Scope, ScopeKind

SPY = Scope(ScopeKind.SYMBOL, "SPY")
NOTICE_SECONDS_MAX = 0.5
"""For a loaded machine; alone it takes 10 ms."""


class Gate:
    """What was marked last, and an event for threads."""

    def __init__(self) -> None:
        self.marked: frozenset[Scope] = frozenset()
        self.changed = threading.Condition()

    def mark(self, scopes: frozenset[Scope]) -> None:
        self.marked = scopes

    def wait_for(self, scopes: set[Scope]) -> float:
        began = time.monotonic()
        while self.marked != scopes:
            assert time.monotonic() - began < NOTICE_SECONDS_MAX, self.marked
            time.sleep(0.001)
        return time.monotonic() - began


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def files(tmp_path: Path, gate: Gate) -> Iterator[HaltFiles]:
    made = HaltFiles(tmp_path, gate.mark)
    yield made
    made.close()


@given(
    st.sampled_from((ScopeKind.STRATEGY, ScopeKind.SYMBOL)),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_every_scope_has_its_name(kind: ScopeKind, subject: str) -> None:
    scope = Scope(kind, subject)
    assert scope_of(name_of(scope)) == scope
    assert "/" not in name_of(scope)


@pytest.mark.parametrize(
    "name", ["HALT", "HALT.txt", "HALT~", "HALTED", "HALT.symbol.", "HALT.agent.1", "HALT."]
)
def test_a_name_that_nobody_understands_halts_everything(name: str) -> None:
    assert scope_of(name) == EVERYWHERE


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{", b'{"halted": false}'])
def test_existence_alone_halts(
    files: HaltFiles, gate: Gate, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / NAME).write_bytes(content)
    gate.wait_for({EVERYWHERE})
    (tmp_path / "HALT.symbol.SPY").write_bytes(content)
    gate.wait_for({EVERYWHERE, SPY})


def test_what_stands_at_the_start_is_marked_before_anything_else(
    tmp_path: Path, gate: Gate
) -> None:
    (tmp_path / NAME).mkdir()  # whatever it is
    made = HaltFiles(tmp_path, gate.mark)
    try:
        assert gate.marked == {EVERYWHERE}
    finally:
        made.close()


async def test_the_loop_is_told_of_new_marks_and_the_gate_does_not_wait_for_it(
    files: HaltFiles, gate: Gate, tmp_path: Path
) -> None:
    told: list[Scope] = []
    heard = asyncio.Event()

    def noticed(scopes: Sequence[Scope]) -> None:
        told.extend(scopes)
        heard.set()

    files.watch(noticed)
    (tmp_path / NAME).touch()
    gate.wait_for({EVERYWHERE})  # blocks the loop meanwhile
    assert told == []
    async with asyncio.timeout(5):
        await heard.wait()
    assert told == [EVERYWHERE]


async def test_a_mark_is_set_and_cleared(files: HaltFiles, gate: Gate, tmp_path: Path) -> None:
    assert await files.set(SPY, {"reason": "test"})
    assert (tmp_path / "HALT.symbol.SPY").read_text() == '{"reason":"test"}\n'
    gate.wait_for({SPY})
    await files.clear(SPY)
    assert gate.marked == frozenset()
    await files.clear(SPY)  # a repeat is fine
    (tmp_path / NAME).mkdir()
    with pytest.raises(Unavailable, match="stays halted"):
        await files.clear(EVERYWHERE)


async def test_a_signal_halts_at_once_and_leaves_a_file(
    files: HaltFiles, gate: Gate, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGUSR1, files.signalled)
    try:
        signal.raise_signal(signal.SIGUSR1)
        assert gate.marked == {EVERYWHERE}
        began = time.monotonic()
        while not (tmp_path / NAME).exists():
            assert gate.marked == {EVERYWHERE}
            assert time.monotonic() - began < NOTICE_SECONDS_MAX
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_full_disk_or_no_descriptor_leaves_a_mark_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(halt_files, "_write_durably", full)
    path = mark(tmp_path, EVERYWHERE, {})
    assert path is not None
    assert os.path.lexists(path)


def test_a_directory_that_cannot_be_read_opens_nothing(
    files: HaltFiles, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "HALT.symbol.SPY").touch()
    gate.wait_for({SPY})

    def no_descriptor(*_: object) -> list[str]:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(os, "listdir", no_descriptor)
    (tmp_path / NAME).touch()
    gate.wait_for({SPY, EVERYWHERE})


async def test_no_place_for_a_mark_is_told(tmp_path: Path, gate: Gate) -> None:
    (tmp_path / "file").touch()
    made = HaltFiles(tmp_path / "file", gate.mark)
    try:
        assert not await made.set(EVERYWHERE, {})
        await made.report({"orders": 1})  # it is told in the log, no more
    finally:
        made.close()
