"""`python -m tests.embedded.supervised STATE_DIR`: a supervisor to be killed.

Prints one JSON line per event; the `up` line carries the addresses. SIGTERM stops it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.supervisor import Event, EventKind, Supervisor


async def main(state_dir: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    postgres, nats = EmbeddedPostgres(state_dir), EmbeddedNats(state_dir)

    def tell(event: Event) -> None:
        line: dict[str, object] = {"kind": event.kind, "service": event.service, "pid": event.pid}
        if event.kind is EventKind.UP:
            line |= {"dsn": postgres.dsn, "nats": nats.url, "token": nats.token}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    await Supervisor(state_dir, [[postgres, nats]], tell).run(stop)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
