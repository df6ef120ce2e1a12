"""A recorded life of the orchestrator as compressed JSON lines: what it asked, was told, and did.

    begin       the settings, and what the database held at the start; first line of every file
    asked       a question to a port, a sleep or a timer begins; `number` counts those of its key
    call        the outcome of a question: the answer or the error            (a turn)
    sleep, timer   one is over                                                (a turn)
    event       a message from the bus; `code`: its signature's verdict       (a turn)
    command     what a person ordered, with the arguments; `code` numbers it  (a turn)
    mark        one of the kill switch that was noticed, or a signal          (a turn)
    stop        the process was asked to end                                  (a turn)
    outcome     what became of the command of that number
    question    a decision that was asked for    id   one that was given, and what for
    taken       a place in the inbox     known   one that was found taken
    decision    judged        order    written, with its last state

What the engine read of the clock stands in the line that was noted next. A file is one life of the
process. One that a crash cut off is read up to its last whole line. A disk that takes no more ends
the recording with an error in the log, never the trading.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from structlog import get_logger

from tradesaga.domain.agent import Agent
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.strategies import Strategy, StrategyMode, StrategyStatus
from tradesaga.ports.records import OutboxRow, PositionSums, Submission
from tradesaga.replay.past import Kept

log = get_logger()
FLUSH_EVERY: Final = 64
"""Lines that had no effect outside: what a crash may cost."""
AT_ONCE: Final = ("command", "outcome")
"""Kinds of lines that no crash costs: without them what follows cannot be understood."""
ASKED: Final = "asked"
CALL: Final = "call"
SLEEP: Final = "sleep"
TIMER: Final = "timer"
EVENT: Final = "event"
COMMAND: Final = "command"
MARK: Final = "mark"
STOP: Final = "stop"
TURNS: Final = frozenset({CALL, SLEEP, TIMER, EVENT, COMMAND, MARK, STOP})
CANCELLED: Final = "CancelledError"
"""What is noted of a question whose asker was told to give up."""
COMPRESSION: Final = 6
"""2 us a line; a third smaller than at 3."""
READ_BYTES: Final = 1 << 16
ADMITTED: Final = "admitted"
"""What is noted of a signature that was found good."""
NOTHING: Final = Raw(b"null")
_NAME: Final = re.compile(r"\d{6}\.jsonl\.gz")
_encode = msgspec.json.Encoder().encode


class Held(Struct, frozen=True, kw_only=True):
    """What one strategy holds of a symbol."""

    strategy_id: StrategyId | None
    symbol: str
    quantity: Decimal


class Known(Struct, frozen=True, kw_only=True):
    """A strategy; its parameters are text of their own, whose numbers with a point are exact."""

    id: StrategyId
    agent_id: AgentId
    external_id: str
    name: str
    type: str
    symbols: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    status: StrategyStatus
    risk_mode: str
    priority: int
    last_run_at: datetime | None
    version: int
    parameters: str
    mode: StrategyMode = StrategyMode.LIVE
    live_at: datetime | None = None
    closing_at: datetime | None = None
    close_attempts: int = 0
    close_failure: str = ""

    @classmethod
    def of(cls, strategy: Strategy) -> Known:
        """As it is written."""
        values = {name: getattr(strategy, name) for name in cls.__struct_fields__}
        exact = {
            name: Raw(exact_digits(value)) if isinstance(value, Decimal) else value
            for name, value in strategy.parameters.items()
        }
        return cls(**{**values, "parameters": _encode(exact).decode()})

    def strategy(self) -> Strategy:
        """As it was."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return Strategy(**{**values, "parameters": _exact(self.parameters)})


def exact_digits(number: Decimal) -> bytes:
    """A JSON number that is read as exact, and never as whole."""
    text = f"{number:f}"
    return (text if "." in text else f"{text}.0").encode()


_exact = msgspec.json.Decoder(float_hook=Decimal).decode


class Beginning(Struct, frozen=True, kw_only=True):
    """What the life began with; `settings` by path, `configured` strategies are added if new.

    `has_clocks` are the database's and the venue's, `unpublished` is what a former life left. In a
    recording of a version that did not note its order `turns` is false; it may lack other fields.
    """

    version: str
    settings: Mapping[str, Any]
    agent: Agent | None
    strategies: Sequence[Known]
    configured: Sequence[Known]
    positions: Sequence[PositionSums]
    attributed: Sequence[Held]
    ordered: Sequence[Submission]
    open_trades: int
    rows: Sequence[Kept] = ()
    imagined: Sequence[Held] = ()
    has_clocks: tuple[bool, bool] = (False, False)
    identity: Identity | None = None
    turns: bool = False
    unpublished: Sequence[OutboxRow] = ()
    has_marks: bool = True


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line; which fields it has depends on its kind.

    `times` (microseconds before `at`, or after it if negative) and `ticks` are what the engine
    read since the line before, of market time and of real time.
    """

    at: datetime
    kind: str
    monotonic: float
    name: str = ""
    key: str = ""
    number: int = 0
    times: tuple[int, ...] = ()
    ticks: tuple[float, ...] = ()
    body: Raw = NOTHING
    text: str = ""
    error: str = ""
    code: str = ""


def about(row: OutboxRow) -> str:
    """What a message is known by on the tape; its own id follows from its place in the log."""
    return f"{row.type} {row.correlation_id or ''}".rstrip()


class Tape:
    """The file of one life; `close` it at the end."""

    def __init__(self, directory: Path) -> None:
        """Begin the next file of the directory. Raises Invalid when it cannot be made."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            number = max((int(file.name[:6]) for file in files_of(directory)), default=0) + 1
            self.path = directory / f"{number:06d}.jsonl.gz"
            self._file: gzip.GzipFile | None = gzip.GzipFile(
                self.path, "xb", compresslevel=COMPRESSION
            )
        except OSError as error:
            raise Invalid([f"{directory} cannot be recorded to: {error.strerror}"]) from error
        self._lines = 0

    def write(self, line: Line, *, flush: bool = False) -> None:
        """Add a line; `flush` what stands so far, so that the death of the process costs none."""
        if self._file is None:
            return
        self._lines += 1
        try:
            self._file.write(_encode(line) + b"\n")
            if flush or self._lines % FLUSH_EVERY == 0 or line.kind in AT_ONCE:
                self._file.flush()
        except OSError:
            log.exception("the recording ends here", path=str(self.path))
            self._file = None

    def close(self) -> None:
        """Write the rest."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                log.exception("the recording is lost from its last flush on", path=str(self.path))
            self._file = None


def files_of(directory: Path) -> list[Path]:
    """The lives in a directory, in order."""
    return sorted(file for file in directory.glob("*.jsonl.gz") if _NAME.fullmatch(file.name))


def read_tape(path: Path) -> tuple[Beginning, list[Line]]:
    """The beginning of a life, and all lines after it. Raises Invalid."""
    lines = list(_read(path))
    if not lines or lines[0].kind != "begin":
        raise Invalid([f"{path} does not begin as a recording; record again with --record"])
    try:
        beginning = msgspec.json.decode(lines[0].body, type=Beginning)
    except msgspec.MsgspecError as error:
        raise Invalid([f"{path} was recorded by another version: {error}"]) from error
    return beginning, lines


def _read(path: Path) -> Iterator[Line]:
    decode = msgspec.json.Decoder(Line).decode
    try:
        for text in _texts(path):
            yield decode(text)
    except OSError as error:
        raise Invalid([f"{path} cannot be read: {error}"]) from error
    except msgspec.MsgspecError as error:
        raise Invalid([f"{path} holds a line that is none: {error}"]) from error


def _texts(path: Path) -> Iterator[bytes]:
    """The whole lines, up to the last byte that can be read; the last line may have been cut."""
    unpack, rest = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), b""
    with path.open("rb") as file:
        while packed := file.read(READ_BYTES):
            try:
                *texts, rest = (rest + unpack.decompress(packed)).split(b"\n")
            except zlib.error as error:
                log.warning("the recording is broken off", path=str(path), error=str(error))
                return
            yield from texts
    if not unpack.eof:
        log.warning("the recording was cut off", path=str(path))
