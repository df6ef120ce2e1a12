"""Running a server until it is told to end.

The first SIGTERM or SIGINT sets the stop event, and the server ends in good order; the second ends
the process at once: everything it owns dies with it, and nothing acknowledged is lost. One that
nobody signals again ends by force when its time is over: a process whose supervisor was killed gets
one signal, and its servers go with it, so that a commit under way may wait for ever.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

_T = TypeVar("_T")
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
END_SECONDS_MAX: Final = 20
"""For an end in good order; a supervisor that lives insists sooner."""


def run_until_signalled(
    server: Callable[[asyncio.Event], Awaitable[_T]],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    end_seconds_max: int | None = None,
) -> _T:
    """Run `server`, which ends when its event is set; what it returns.

    With `end_seconds_max` the kernel ends the process (SIGALRM) so long after the first signal.
    """

    # A core dump would have every secret of the process in it; children inherit the limit.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    async def main() -> _T:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in SIGNALS:
            loop.add_signal_handler(number, _signalled, stop, number, end_seconds_max)
        return await server(stop)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def _signalled(stop: asyncio.Event, number: signal.Signals, end_seconds_max: int | None) -> None:
    if stop.is_set():
        sys.stdout.flush()
        os._exit(128 + number)
    if end_seconds_max is not None:
        signal.alarm(end_seconds_max)  # nobody handles it: it ends also what is stuck
    stop.set()
