"""The public keys of an issuer of tokens, asked of the one address in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from tradesaga.adapters.http.client import ServiceClient
from tradesaga.adapters.http.transport import Transport
from tradesaga.domain.errors import Unavailable

ANSWER_BYTES_MAX: Final = 256 * 1024


class HttpKeySet:
    """Reads the JWKS document at `url` within `time_max`; no redirect or proxy is followed."""

    def __init__(
        self,
        *,
        url: str,
        time_max: timedelta,
        transport: Transport | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._path = parts.path or "/"
        self._client = ServiceClient(
            name="the OIDC issuer",
            url=f"{parts.scheme}://{parts.netloc}",
            time_max=time_max,
            transport=transport,
            bytes_max=ANSWER_BYTES_MAX,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def read(self) -> bytes:
        """The document as it comes. Raises Unavailable and DeadlineExceeded."""
        reply = await self._client.page(self._path)
        if not reply.is_success:
            raise Unavailable(f"the OIDC issuer answers {reply.status} to GET {self._path}")
        return reply.body
