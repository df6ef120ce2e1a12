"""A transport of the tests' HTTP library where the product has its own: no socket, same words."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from tradesaga.adapters.http.transport import Answer, Request
from tradesaga.domain.errors import NotSent


@dataclass(frozen=True, slots=True)
class Played:
    """Implements `adapters.http.transport.Transport`."""

    inner: httpx2.AsyncBaseTransport

    async def send(self, request: Request) -> Answer:
        if request.leave is not None and (reason := request.leave()):
            raise NotSent(reason)
        host = f"http://{request.origin.authority}"
        asked = httpx2.Request(
            request.method, host + request.target, headers=request.headers, content=request.body
        )
        try:
            response = await self.inner.handle_async_request(asked)
            body = await response.aread()
        except httpx2.TimeoutException as error:
            raise TimeoutError(str(error)) from error
        except httpx2.HTTPError as error:
            raise ConnectionError(str(error)) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status_code, headers=headers, body=body)

    async def close(self) -> None:
        await self.inner.aclose()
