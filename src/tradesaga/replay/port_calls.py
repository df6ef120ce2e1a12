"""Any port, each of its methods that is awaited passed through one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

Ask = Callable[[], Awaitable[Any]]


class PortCalls:
    """The port by the name `name`; who makes one of these says what becomes of a call."""

    def __init__(self, name: str, port: Any) -> None:
        self._name = name
        self._port = port

    def __getattr__(self, name: str) -> Any:
        """As the port."""
        method = getattr(self._port, name)
        if not iscoroutinefunction(method):
            return method
        what = f"{self._name}.{name}"

        async def asked(*values: Any, **named: Any) -> Any:
            return await self._asked(what, partial(method, *values, **named))

        return asked

    async def _asked(self, what: str, ask: Ask) -> Any:
        """The outcome of `ask`, of the method `what`."""
        raise NotImplementedError
