"""The kill switch on disk: files named HALT in the state directory, watched by a thread of its own.

    HALT                    everything
    HALT.symbol.SPY         one symbol (percent-encoded where a file name cannot have it)
    HALT.strategy.<id>      one strategy
    HALT<anything else>     everything

The existence of a file alone halts; what is in it is for people. The thread looks every 10 ms,
so a file takes effect within 20 ms however busy the event loop is, and closes the gate itself.
`signalled` is for a signal handler: it closes the gate at once and leaves the file to the thread.
A directory that cannot be read halts nothing new and opens nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from structlog import get_logger

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ladder import EVERYWHERE, Scope, ScopeKind

log = get_logger()
NAME: Final = "HALT"
REPORT: Final = "kill-report.json"
LOOK_SECONDS: Final = 0.01
DISK_SECONDS_MAX: Final = 1.0

Marked = Callable[[frozenset[Scope]], None]
"""Takes the marks that stand; called from the thread, from a signal handler and at the start."""


class HaltFiles:
    """Implements `ports.halt_marks.HaltMarks`; the thread ends with the process or with `close`."""

    def __init__(self, directory: Path, marked: Marked) -> None:
        """Look once before it returns: what stands is marked already."""
        self._directory = directory
        self._marked = marked
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._known: frozenset[Scope] = frozenset()
        self._signal = self._told = False
        self._noticed: Callable[[Sequence[Scope]], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look()
        self._thread = threading.Thread(target=self._run, name="halt files", daemon=True)
        self._thread.start()

    def watch(self, noticed: Callable[[Sequence[Scope]], None]) -> None:
        """Call `noticed` on the running loop, now and with every new mark."""
        with self._turn:
            self._loop, self._noticed = asyncio.get_running_loop(), noticed
            known = self._known
        if known:
            noticed(tuple(known))

    def signalled(self, *_: object) -> None:
        """Halt everything: for a signal handler, which may do no more than this."""
        self._signal = True  # first: the thread looks at it after it has marked
        self._marked(self._known | {EVERYWHERE})

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """Leave a file that survives loss of power."""
        try:
            async with asyncio.timeout(DISK_SECONDS_MAX):
                return await asyncio.to_thread(self._write, scope, content)
        except TimeoutError:
            log.error("the halt file is not written: the disk does not answer")  # noqa: TRY400 -- no trace needed
            return False

    async def clear(self, scope: Scope) -> None:
        """Remove the file of `scope`. Raises Unavailable when it stays."""
        try:
            async with asyncio.timeout(DISK_SECONDS_MAX):
                await asyncio.to_thread(self._remove, scope)
        except (TimeoutError, OSError) as error:
            path = self._directory / name_of(scope)
            raise Unavailable(f"{path} cannot be removed, so it stays halted: {error}") from error

    async def report(self, content: Mapping[str, Any]) -> None:
        """Leave `kill-report.json` beside the files."""
        try:
            async with asyncio.timeout(DISK_SECONDS_MAX):
                await asyncio.to_thread(self._leave_report, content)
        except (TimeoutError, OSError) as error:
            log.warning("the kill report is not written", error=str(error))

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    # ---- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if self._signal:
                self._signal = not self._write(EVERYWHERE, {"reason": "signal", "who": "signal"})
            self._look()

    def _look(self) -> None:
        with self._turn:
            found = self._standing()
            if self._signal:
                found |= {EVERYWHERE}
            new, self._known = found - self._known, found
            self._marked(found)
            if self._signal:  # it came while the directory was read
                self._marked(found | {EVERYWHERE})
            loop, noticed = self._loop, self._noticed
        if new and loop is not None and noticed is not None and not loop.is_closed():
            loop.call_soon_threadsafe(noticed, tuple(new))

    def _standing(self) -> frozenset[Scope]:
        try:
            names = [name for name in os.listdir(self._directory) if name.startswith(NAME)]
        except FileNotFoundError:
            return frozenset()
        except OSError:  # no file descriptor left, perhaps: asking for one name needs none
            halted = os.path.lexists(self._directory / NAME)
            return self._known | ({EVERYWHERE} if halted else frozenset())
        return frozenset(scope_of(name) for name in names)

    def _write(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        done = mark(self._directory, scope, content) is not None
        if not done and not self._told:  # the thread tries again every 10 ms
            log.error("the halt file is not written", directory=str(self._directory))
        self._told = not done
        return done

    def _remove(self, scope: Scope) -> None:
        with self._turn:
            (self._directory / name_of(scope)).unlink(missing_ok=True)
            _sync(self._directory)
            self._signal = False
            self._known = self._standing()
            self._marked(self._known)

    def _leave_report(self, content: Mapping[str, Any]) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        fresh = self._directory / f".{REPORT}"
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        fresh.replace(self._directory / REPORT)


def mark(directory: Path, scope: Scope, content: Mapping[str, Any]) -> Path | None:
    """Leave the file of `scope`, durably if it can be; None when it cannot be left at all."""
    path = directory / name_of(scope)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            _write_durably(path, content)
        except OSError:
            if not os.path.lexists(path):  # a link needs no descriptor and no data block
                path.symlink_to("halted")
    except OSError:
        return path if os.path.lexists(path) else None
    return path


def name_of(scope: Scope) -> str:
    """The file that halts `scope`."""
    if scope.kind is ScopeKind.ALL:
        return NAME
    return f"{NAME}.{scope.kind}.{quote(scope.subject, safe='')}"


def scope_of(name: str) -> Scope:
    """What a file of that name halts; a name that nobody understands halts everything."""
    _, _, rest = name.partition(f"{NAME}.")
    kind, _, subject = rest.partition(".")
    if kind in (ScopeKind.STRATEGY, ScopeKind.SYMBOL) and subject:
        return Scope(ScopeKind(kind), unquote(subject))
    return EVERYWHERE


def _write_durably(path: Path, content: Mapping[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(content) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make the names in it durable."""
    if not directory.exists():
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
