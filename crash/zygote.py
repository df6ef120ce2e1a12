"""A warm process that forks one orchestrator per life; `python -m crash.zygote`.

Everything is imported once and no event loop exists here, so that a fork is cheap and safe. Plans
come in on standard input, ends go out on standard output. A life writes what it has to say into a
pipe of its own; that it announced its own kill is what tells a planned death from any other.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import sys
import traceback
from typing import BinaryIO

from crash.life import End, Life, Plan
from crash.mutants import MUTANTS
from crash.sessions import BorrowingLoop, Keeper, Lent
from crash.wire import LENGTH_BYTES, frame
from tradesaga.adapters import logging as log_output
from tradesaga.testing.seams import Seam

PLANNED = b"planned"
DIES_OF_ITSELF = "a life that dies of itself"
"""No mutant of the product: a death that nobody planned, to see that it is not taken for one."""


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Fork a life for every plan, until there are no more."""
    gc.collect()
    gc.freeze()  # forked pages stay shared
    keeper = Keeper()
    while head := requests.read(LENGTH_BYTES):
        plan: Plan = pickle.loads(requests.read(int.from_bytes(head, "big")))
        lent = keeper.lend()
        listen, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(listen)
            _live(plan, say, lent)
        os.close(say)
        replies.write(frame(child))
        replies.flush()
        with os.fdopen(listen, "rb") as said:
            words = said.read()
        _, status = os.waitpid(child, 0)
        replies.write(frame(_end(status, words, keeper)))
        replies.flush()


def _end(status: int, words: bytes, keeper: Keeper) -> End:
    if os.WIFSIGNALED(status):
        if words == PLANNED and os.WTERMSIG(status) == signal.SIGKILL:
            return End(killed=True)
        return End(error=f"died of signal {os.WTERMSIG(status)}, not at the planned seam")
    if os.WEXITSTATUS(status) == 0:
        passed, opened = pickle.loads(words)
        keeper.learn(opened)
        return End(passed=passed)
    return End(error=words.decode(errors="replace") or f"exit {status}")


def _live(plan: Plan, say: int, lent: Lent) -> None:
    """Never returns."""
    gc.disable()  # a life is short
    try:
        if plan.mutant == DIES_OF_ITSELF:
            os.kill(os.getpid(), signal.SIGKILL)
        if plan.mutant is not None:
            MUTANTS[plan.mutant].plant()

        async def run() -> tuple[Seam, ...]:
            life = Life(plan, lambda: _write(say, PLANNED))
            await life.run()
            return tuple(life.seams.passed)

        loop = BorrowingLoop(lent)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            passed = runner.run(run())
        _write(say, pickle.dumps((passed, loop.opened)))
    except BaseException:  # noqa: BLE001 -- told, and the process ends
        _write(say, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def _write(to: int, words: bytes) -> None:
    while words:
        words = words[os.write(to, words) :]


def main() -> None:
    """Serve on standard input and output; what lives print goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    log_output.configure(level="critical")
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
