"""Tokens of another issuer: where its keys come from, and by which rules they open the API.

The library is an extra: it is imported only where the configuration names an issuer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tradesaga.adapters.http.key_set import ANSWER_BYTES_MAX, HttpKeySet
from tradesaga.adapters.system import SystemClock
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.foreign_tokens import ForeignRules, SigningAlgorithm

if TYPE_CHECKING:
    from tradesaga.adapters.oidc import OidcCallers

MISSING = "security.oidc needs a library that is not installed: pip install 'tradesaga[security]'"


async def oidc_callers(settings: Settings, stack: AsyncExitStack) -> OidcCallers | None:
    """Those who show a token of the configured issuer; None without one.

    Raises:
        Invalid: the library is missing, or the file of keys is no use.
    """
    oidc = settings.security.oidc
    if not oidc.issuer:
        return None
    try:
        from tradesaga.adapters.oidc import KeySource, OidcCallers, read_keys  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise Invalid([MISSING]) from error
    sources = []
    if oidc.jwks_file:
        reads = _file_of(Path(oidc.jwks_file))
        try:
            keys = read_keys(await reads(), oidc.algorithms)
        except (Invalid, Unavailable) as error:
            raise Invalid([f"security.oidc.jwksFile: {error}"]) from error
        if not keys and not oidc.jwks_url:
            raise Invalid(["security.oidc.jwksFile has no key for security.oidc.algorithms"])
        sources.append(KeySource(name="jwksFile", read=reads))
    if oidc.jwks_url:
        key_set = HttpKeySet(url=oidc.jwks_url, time_max=oidc.timeout)
        stack.push_async_callback(key_set.close)
        sources.append(KeySource(name="jwksUrl", read=key_set.read))
    return OidcCallers(
        rules=ForeignRules(
            issuer=oidc.issuer,
            scopes_claim=oidc.scopes_claim,
            scopes=oidc.by_value(),
            clock_error=oidc.clock_error,
            life_max=oidc.life_max,
            sign_in_age_max=oidc.sign_in_age_max,
        ),
        audience=oidc.audience,
        algorithms=[SigningAlgorithm(name) for name in oidc.algorithms],
        sources=sources,
        refresh=oidc.refresh_interval,
        clock=SystemClock(),
    )


def _file_of(path: Path) -> Callable[[], Awaitable[bytes]]:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(ANSWER_BYTES_MAX + 1)

    async def reads() -> bytes:
        try:
            return await asyncio.to_thread(read)
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}") from error

    return reads
