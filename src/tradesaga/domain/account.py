"""Which agents there are beside the default one: the accounts that are driven.

An agent is one account and its strategies. The default agent is configured; the others are made and
retired by people. A retired agent is never driven again; its rows stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
URL: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[A-Za-z0-9._~\-]+)*/?")
URL_CHARACTERS_MAX: Final = 500
LIVE_MAX: Final = 10_000
"""So many agents may live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One agent as people made it; `agent_id` is the default agent, in whose log it stands.

    `trading_engine` is the address where its account trades: two agents on one account would take
    each other's positions for their own.
    """

    id: AgentId
    agent_id: AgentId
    name: str
    trading_engine: str
    created_at: datetime
    created_by: str
    retired_at: datetime | None = None
    version: int = 1

    @property
    def lives(self) -> bool:
        """Whether it is driven."""
        return self.retired_at is None


def must_be_fit(name: str, trading_engine: str) -> None:
    """Refuse a name or an address that is none. Raises Invalid naming all that is wrong."""
    problems = []
    if NAME.fullmatch(name) is None:
        problems.append("name is 1 to 64 letters, digits, dots, dashes, underscores")
    if URL.fullmatch(trading_engine) is None or len(trading_engine) > URL_CHARACTERS_MAX:
        problems.append("tradingEngine is http:// or https://, a host and a path without a query")
    if problems:
        raise Invalid(problems)
