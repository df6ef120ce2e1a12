"""Log lines: one chain for structlog and for the standard library's records, to stderr.

    event -> ids bound for this task -> level, time -> exception without locals -> masked -> text

What must not be read is masked twice: values under a key that sounds secret, and within any text
the user part of a URL and every token of the API. A traceback never shows local variables: they
hold keys and tokens.
Libraries speak from WARNING up; nats-py, which repeats every reconnect, from ERROR.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, Final, Literal, cast
from uuid import UUID

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger
from typing_extensions import override

from tradesaga.domain.redaction import MASK, without_secrets

Form = Literal["json", "text"]

NESTING_MAX: Final = 8
FIRST: Final = ("timestamp", "level", "event")
QUIET: Final[Mapping[str, int]] = {
    "asyncio": logging.WARNING,
    "asyncpg": logging.CRITICAL,  # its pool logs a traceback for every refill that fails
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "litestar": logging.WARNING,
    "nats": logging.ERROR,
    "opentelemetry": logging.CRITICAL,  # what does not reach the collector we count, and say once
    "urllib3": logging.ERROR,
    "uvicorn": logging.WARNING,
}
"""Loggers of libraries and the level from which they are heard."""
_SECRET_KEY: Final = re.compile(
    r"token|passw|secret|authorization|credential|cookie|api_?key|private_?key", re.IGNORECASE
)


def configure(
    *,
    level: str = "info",
    form: Form = "json",
    stream: BinaryIO | None = None,
    colors: bool = False,
) -> None:
    """Send all log lines of this process to `stream` (stderr); called once, at the start.

    `level` is debug, info, warning or error. `colors` is for a terminal and form "text" alone.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=_chain(form, colors=colors),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(
            cast("BinaryIO", _Lines(stream or sys.stderr.buffer))
        ),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(threshold)
    logging.captureWarnings(capture=True)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, threshold))


def masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor: the event without secrets."""
    return {key: _masked(key, value, NESTING_MAX) for key, value in event.items()}


class _Lines:
    """The stream of the log, as far as structlog uses it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, line: bytes) -> None:
        """Write; a reader that has gone away must not end the trade that wanted to tell it."""
        try:
            self._stream.write(line)
        except OSError:
            self.lost += 1

    def flush(self) -> None:
        """As `write`."""
        try:
            self._stream.flush()
        except OSError:
            self.lost += 1


class _ToStructlog(logging.Handler):
    """Hands records of the standard library to structlog's chain."""

    def __init__(self) -> None:
        super().__init__()
        self._log = structlog.get_logger()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log.log(
                record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
            )
        except Exception:  # noqa: BLE001  # a handler must not raise into whoever logs
            self.handleError(record)


def _chain(form: Form, *, colors: bool) -> list[Processor]:
    begin: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        return [
            *begin,
            structlog.processors.ExceptionRenderer(
                ExceptionDictTransformer(show_locals=False, max_frames=20)
            ),
            masked,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    return [
        *begin,
        structlog.processors.ExceptionRenderer(_plain_traceback),
        masked,
        _readable,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_never),
        _encoded,
    ]


def _json(event: EventDict, **_: object) -> bytes:
    first = {key: event[key] for key in FIRST if key in event}
    return msgspec.json.encode({**first, **event}, enc_hook=str)


def _readable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {
        key: str(value) if isinstance(value, UUID | Decimal | datetime | timedelta) else value
        for key, value in event.items()
    }


def _encoded(_: WrappedLogger, __: str, line: Any) -> bytes:
    return str(line).encode()


def _plain_traceback(exc_info: Any) -> str:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    return text.getvalue().rstrip("\n")


def _never(_: object, __: object) -> None:
    raise AssertionError("exceptions are text before they are rendered")


def _masked(key: str, value: Any, depth: int) -> Any:
    if _SECRET_KEY.search(key):
        return MASK
    match value:
        case str():
            return without_secrets(value)
        case Mapping() if depth:
            return {str(k): _masked(str(k), v, depth - 1) for k, v in value.items()}
        case Sequence() if depth and not isinstance(value, bytes | bytearray):
            return [_masked("", item, depth - 1) for item in value]
        case BaseException():
            return without_secrets(repr(value))
        case Mapping() | Sequence():
            return MASK
        case _:
            return value
