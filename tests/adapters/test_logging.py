"""Log lines as their reader gets them: form, ids, and what must never be in them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
import structlog
from typing_extensions import override

from tradesaga.adapters.logging import QUIET, Form, configure

CANARY = "canary-4711"


class Log:
    """What was written since the last look."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()

    def configure(self, form: Form = "json", level: str = "info") -> Any:
        configure(level=level, form=form, stream=self.stream)
        return structlog.get_logger()

    def text(self) -> str:
        return self.stream.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.text().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Log()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_json_with_time_level_event_and_bound_ids(log: Log) -> None:
    logger = log.configure()
    with structlog.contextvars.bound_contextvars(cycle_id=UUID(int=7)):
        logger.info("cycle_started", quantity=Decimal("1.50"))
    logger.debug("unheard")
    [line] = log.lines()
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "cycle_started",
        "cycle_id": "00000000-0000-0000-0000-000000000007",
        "quantity": "1.50",
    }


def test_text_is_for_people(log: Log) -> None:
    log.configure("text").warning("retried", quantity=Decimal("1.50"))
    assert "[warning  ] retried" in log.text()
    assert "quantity=1.50" in log.text()
    assert "\x1b" not in log.text()


def test_records_of_the_standard_library_take_the_same_way(log: Log) -> None:
    log.configure()
    with structlog.contextvars.bound_contextvars(saga_id="s"):
        logging.getLogger("somewhere").warning("seen %d", 7)
    [line] = log.lines()
    assert (line["event"], line["logger"], line["saga_id"]) == ("seen 7", "somewhere", "s")
    assert line["level"] == "warning"


@pytest.mark.parametrize(
    ("name", "level", "heard"),
    [
        ("uvicorn.access", logging.INFO, False),
        ("uvicorn.error", logging.WARNING, True),
        ("asyncpg.pool", logging.ERROR, False),
        ("nats.aio.client", logging.WARNING, False),
        ("nats.aio.client", logging.ERROR, True),
        ("elsewhere", logging.INFO, True),
    ],
)
def test_libraries_are_quiet(log: Log, name: str, level: int, heard: bool) -> None:
    log.configure()
    logging.getLogger(name).log(level, "said")
    assert bool(log.lines()) is heard


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "fields",
    [
        {"token": CANARY},
        {"nats_token": CANARY},
        {"DB_PASSWORD": CANARY},
        {"headers": {"Authorization": f"Bearer {CANARY}"}},
        {"deep": [{"list": [{"api_key": CANARY}]}]},
        {"dsn": f"postgresql://tradesaga:{CANARY}@127.0.0.1:5432/db"},
        {"said": f"cannot reach nats://{CANARY}@127.0.0.1:4222, giving up"},
        {"urls": [f"nats://{CANARY}@a:4222", f"nats://{CANARY}@b:4222"]},
        {"error": ValueError(f"nats://{CANARY}@127.0.0.1:4222")},
    ],
)
def test_secrets_are_masked(log: Log, form: Form, fields: dict[str, Any]) -> None:
    log.configure(form).error("failed", **fields)
    assert CANARY not in log.text()
    assert "***" in log.text()


def test_urls_without_a_user_stay_readable(log: Log) -> None:
    log.configure().info("listens", url="http://127.0.0.1:3005/api?mail=a@b.example")
    assert log.lines()[0]["url"] == "http://127.0.0.1:3005/api?mail=a@b.example"


def fails(local_only: str) -> None:
    raise ValueError(f"no way to nats://{CANARY}@127.0.0.1:4222 ({len(local_only)})")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_where_but_neither_locals_nor_secrets(log: Log, form: Form) -> None:
    logger = log.configure(form)
    try:
        fails("local-0815")
    except ValueError:
        logger.exception("failed")
        logging.getLogger("library").exception("failed too")
    text = log.text()
    assert text.count("ValueError") >= 2
    assert "test_a_traceback_shows_where" in text
    assert CANARY not in text
    if form == "json":  # in text the line of the source that has it is shown
        assert "local-0815" not in text


def test_what_is_no_json_is_told_as_text(log: Log) -> None:
    log.configure().info("odd", value=object, data=b"\xff")
    [line] = log.lines()
    assert line["value"] == "<class 'object'>"
    assert line["data"] == "***"


class Gone(io.BytesIO):
    """A pipe whose reader has gone away."""

    @override
    def write(self, data: Any, /) -> int:
        raise BrokenPipeError


def test_a_reader_that_went_away_does_no_harm(log: Log) -> None:
    log.stream = Gone()
    log.configure().info("unheard")
    logging.getLogger("library").warning("unheard")
