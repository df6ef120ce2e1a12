"""Where traces go, and how much of a collector's trouble may be ours."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from tradesaga.config import values
from tradesaga.config.secret import Secret
from tradesaga.config.section import (
    CALL_DEADLINE,
    HTTP_URL_OR_NONE,
    MINUTE,
    NAME,
    Section,
    key,
    secret_key,
    section,
)
from tradesaga.config.values import milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing(Section):
    """Spans over OTLP/HTTP; without an `endpoint` there are none."""

    endpoint: str = key(HTTP_URL_OR_NONE, "")
    token: Secret = secret_key("")
    service_name: str = key(NAME, "orchestrator")
    sample_ratio: Decimal = key(values.decimal_from_zero(1), 1)
    queue_max: int = key(values.whole(256, 1_000_000), 4096)
    export_timeout: timedelta = key(CALL_DEADLINE, 5000)
    flush_timeout: timedelta = key(milliseconds(0, MINUTE), 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observability(Section):
    """What is told to those who watch from outside."""

    tracing: Tracing = section(Tracing)
