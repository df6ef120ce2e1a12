"""The same API for any agent: `/api/v1/agents/{agentId}/...`; the default one needs no prefix.

What comes below an agent's path is answered by the handlers of the path without it, which are given
that agent's ports. A token, its scopes and the limits of requests are the same for all agents.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast
from uuid import UUID

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from tradesaga.api.doors import STATE, AgentDoors
from tradesaga.api.problems import Problems
from tradesaga.domain.errors import TradesagaError
from tradesaga.domain.ids import AgentId

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
OF_THE_REGISTER: Final = frozenset({"/retire"})
"""Paths below an agent's that are about the agent, not the agent's own."""


class AgentPaths:
    """ASGI middleware; `prefix` is that of the API."""

    def __init__(
        self, app: ASGIApp, *, agents: AgentDoors, problems: Problems, prefix: str
    ) -> None:
        self._app = app
        self._agents = agents
        self._problems = problems
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request on under the path without its agent."""
        agent_id, path = split(scope["path"], self._prefix)
        if scope["type"] != ScopeType.HTTP or agent_id is None:
            await self._app(scope, receive, send)
            return
        try:
            doors = self._agents.of(agent_id)
        except TradesagaError as error:
            request: Request[Any, Any, Any] = Request(scope, receive=receive, send=send)
            response = self._problems(request, error)
            await response.to_asgi_response(app=None, request=request)(scope, receive, send)
            return
        state = dict(scope.get("state") or {})
        if doors is not None:
            state[STATE] = doors
        inner = cast("Scope", {**scope, "path": path, "state": state})
        await self._app(inner, receive, send)


def split(path: str, prefix: str) -> tuple[AgentId | None, str]:
    """The agent that a path is about and its path without it; None where none is named."""
    found = re.match(rf"{re.escape(prefix)}/agents/({_UUID})(/.+)", path)
    if found is None or found[2] in OF_THE_REGISTER:
        return None, path
    rest = found[2] if found[2] == "/health" else prefix + found[2]
    return AgentId(UUID(found[1])), rest
