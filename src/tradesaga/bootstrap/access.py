"""Who is let in to the API of this process, and whether anybody could be.

Four sources: the tokens in the database, the token file of the state directory, `risk.adminToken`
of the configuration, and another issuer's tokens. The last three need no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tradesaga.adapters.postgres.access_records import PostgresAccessRecords
from tradesaga.adapters.system import SystemClock, SystemIds, new_api_secret
from tradesaga.api.loopback import is_loopback
from tradesaga.bootstrap.token_file import TokenFile, ensure_token
from tradesaga.config import Settings
from tradesaga.domain.access import AccessScope, Caller, digest_of, with_reading
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.token_book import TokenBook
from tradesaga.ports.token_operations import ForeignCallers

RISK_ADMIN: Final = Caller(
    name="risk-admin",
    token_id="configuration",  # noqa: S106 -- no secret
    scopes=with_reading([AccessScope.RISK_ADMIN]),
)


async def token_book(
    settings: Settings,
    state_dir: Path | None,
    records: PostgresAccessRecords,
    scribe: Scribe,
    foreign: ForeignCallers | None = None,
) -> TokenBook:
    """The book, read once; without a state directory there is no token file."""
    file = None if state_dir is None else _file_in(state_dir)
    configured = settings.risk.admin_token.reveal()
    always = {digest_of(configured): RISK_ADMIN} if configured else {}

    def fixed() -> Mapping[str, Caller]:
        return {**always, **({} if file is None else file.callers())}

    book = TokenBook(
        scribe=scribe,
        records=records,
        clock=SystemClock(),
        ids=SystemIds(),
        mint=new_api_secret,
        fixed=fixed,
        agent_id=AgentId(settings.agent.id),
        foreign=foreign,
    )
    await book.look()
    return book


def must_be_guarded(host: str, book: TokenBook) -> None:
    """Refuse to listen beyond this machine while nobody could be let in. Raises Invalid."""
    if book.is_empty and not is_loopback(host):
        raise Invalid(
            [
                f"server.host {host} is open to other machines, and there is no token: start with "
                "a state directory that can be written, or with --host 127.0.0.1, and create one"
            ]
        )


def _file_in(state_dir: Path) -> TokenFile | None:
    path = ensure_token(state_dir)
    return None if path is None else TokenFile(path)
