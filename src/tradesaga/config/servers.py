"""Where Postgres and NATS are, as whom we come, and how long either may keep us waiting."""

# ruff: noqa: RUF009 -- `key` is a field specifier, not a shared default
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.secret import Secret
from tradesaga.config.section import (
    DEADLINE,
    HOST,
    HTTP_URL_OR_NONE,
    NAME,
    PORT,
    Section,
    key,
    ms,
    secret_key,
)
from tradesaga.config.values import Unfit

_NATS = r"(?:nats|tls|ws|wss)://[^\s,/]+/?"
_WORD = r"[^\s.*>]+"
_SCHEMA = values.matching(
    r"(?!pg_|(?:public|information_schema)$)[a-z_][a-z0-9_]{0,62}",
    "a plain schema name",
    "write lower-case letters, digits and _, not starting with a digit or pg_, and not public",
)
_NATS_URL = values.matching(
    rf"{_NATS}(?:,{_NATS})*",
    "the address of a NATS server",
    "write nats://host:port, several with commas",
)
_USER = values.matching(r"[A-Za-z0-9_-]{0,63}", "a user of NATS", "write letters, digits, - and _")
_PREFIX = values.matching(
    rf"(?:{_WORD}(?:\.{_WORD})*)?",
    "a subject to publish below",
    "write words joined by dots, without wildcards",
)
_SUBJECT = values.matching(
    rf"(?:(?:{_WORD}|\*)\.)*(?:{_WORD}|\*|>)",
    "a NATS subject",
    "write words joined by dots; * stands for one word, > for all at the end",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database(Section):
    """Postgres: where it is, and as whom we come."""

    host: str = key(HOST, "${DB_HOST}")
    port: int = key(PORT, "${DB_PORT}")
    name: str = key(NAME, "ai_trader")
    schema: str = key(_SCHEMA, "orchestration")
    user: str = key(NAME, "${DB_USER:-tradesaga}")
    password: Secret = secret_key("${DB_PASSWORD:-}")
    commit_slow: timedelta = key(DEADLINE, 500)
    commit_wait: timedelta = key(DEADLINE, 2000)
    clock_error: timedelta = key(DEADLINE, 50)
    statement_timeout: timedelta = key(DEADLINE, 30_000)
    lock_timeout: timedelta = key(DEADLINE, 10_000)
    idle_in_transaction_timeout: timedelta = key(DEADLINE, 1000)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.commit_slow > self.commit_wait:
            what = f"{ms(self.commit_slow)} is longer than commitWait"
            yield Unfit(what, f"write at most {ms(self.commit_wait)}", "commitSlow")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBus(Section):
    """NATS: where it is, below which prefix we publish, what we listen to."""

    url: str = key(_NATS_URL, "${NATS_URL}")
    user: str = key(_USER, "${NATS_USER:-}")
    token: Secret = secret_key("${NATS_TOKEN:-}")
    lost_after: timedelta = key(DEADLINE, 5000)
    monitor_url: str = key(HTTP_URL_OR_NONE, "")
    accept_lazy_sync: bool = key(values.truth, False)
    publish_prefix: str = key(_PREFIX, "ai-trader.orchestrator")
    subscriptions: tuple[str, ...] = key(
        values.distinct(_SUBJECT),
        [
            "ai-trader.system.heartbeat",
            "ai-trader.market.session.*",
            "ai-trader.trade.order.*",
            "ai-trader.ai.decision.*",
        ],
    )
