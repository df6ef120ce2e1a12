"""A warm process that forks one orchestrator per life; `python -m crash.zygote`.

Everything is imported once and no event loop exists here, so that a fork is cheap and safe. Plans
come in on standard input, ends go out on standard output. A life writes what it has to say into a
pipe of its own; that it announced its own kill is what tells a planned death from any other.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import pickle
import select
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from crash.actions import Action
from crash.life import TELL, End, Life, Plan
from crash.mutants import MUTANTS
from crash.sessions import BorrowingLoop, Keeper, Lent
from crash.wire import LENGTH_BYTES, frame
from tradesaga.adapters import logging as log_output

PLANNED = b"planned"
PR_SET_PDEATHSIG = 1
WROTE_LATE = "batches written after another life took over:"
THAW_SECONDS_MAX = 5
DIES_OF_ITSELF = "a life that dies of itself"
"""No mutant of the product: a death that nobody planned, to see that it is not taken for one."""


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is no more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(1)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Fork a life for every plan, until there are no more."""
    gc.collect()
    gc.freeze()  # forked pages stay shared
    keeper, frozen = Keeper(), None
    while head := requests.read(LENGTH_BYTES):
        plan: Plan = pickle.loads(requests.read(int.from_bytes(head, "big")))
        lent, zygote = keeper.lend(), os.getpid()
        listen, say = os.pipe()
        child = os.fork()
        if child == 0:
            die_with(zygote)
            os.close(listen)
            _live(plan, say, lent)
        os.close(say)
        replies.write(frame(child))
        replies.flush()
        if plan.action is Action.FREEZE and _stands_still(child):
            frozen = child, listen
            end = End(frozen=True)
        else:
            end = _end(child, listen, keeper)
            if frozen is not None:
                end = replace(end, error=end.error or _thawed(*frozen))
                frozen = None
        replies.write(frame(end))
        replies.flush()


def _stands_still(child: int) -> bool:
    """Wait until the child stops or has ended; an ended one is still to be waited for."""
    info = os.waitid(os.P_PID, child, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    return info is not None and info.si_code == os.CLD_STOPPED


def _thawed(child: int, listen: int) -> str:
    """What is wrong with the end of one that was frozen: it was deposed, or ended in good form."""
    watching = select.poll()
    watching.register(pidfd := os.pidfd_open(child), select.POLLIN)
    ended = watching.poll(THAW_SECONDS_MAX * 1000)
    os.close(pidfd)
    if not ended:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(listen, "rb") as said:
        words = said.read().removeprefix(PLANNED)
    _, status = os.waitpid(child, 0)
    if not ended:
        return f"a frozen life goes on {THAW_SECONDS_MAX} s after it was deposed"
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return ""  # its successor had ended before it took its first step
    said_last = words.decode(errors="replace")
    if "Fenced" in said_last and WROTE_LATE not in said_last:
        return ""
    return f"a frozen life ended otherwise than deposed: {said_last}"


def _end(child: int, listen: int, keeper: Keeper) -> End:
    with os.fdopen(listen, "rb") as said:
        words = said.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        if words == PLANNED and os.WTERMSIG(status) == signal.SIGKILL:
            return End(killed=True)
        where = words.removeprefix(PLANNED).decode(errors="replace")
        number = os.WTERMSIG(status)
        return End(error=f"died of signal {number}, not at the planned seam {where}".rstrip())
    if os.WEXITSTATUS(status) == 0:
        passed, opened = pickle.loads(words)
        keeper.learn(opened)
        return End(passed=passed)
    return End(error=words.decode(errors="replace") or f"exit {status}")


def _live(plan: Plan, say: int, lent: Lent) -> None:
    """Never returns."""
    gc.disable()  # a life is short
    life = Life(plan, lambda: _write(say, PLANNED))
    try:
        if plan.mutant == DIES_OF_ITSELF:
            os.kill(os.getpid(), signal.SIGKILL)
        if plan.mutant is not None:
            MUTANTS[plan.mutant].plant()
        loop = BorrowingLoop(lent)
        loop.add_signal_handler(TELL, lambda: _write(say, _where(loop)))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(life.run())
        _write(say, pickle.dumps((tuple(life.seams.passed), loop.opened)))
    except BaseException:  # noqa: BLE001 -- told, and the process ends
        late = f"\n{WROTE_LATE} {life.trouble.late}" if life.trouble.late else ""
        _write(say, (traceback.format_exc() + late).encode())
        os._exit(1)
    os._exit(0)


def _where(loop: asyncio.AbstractEventLoop) -> bytes:
    """At which line each task of a life waits, and what for."""
    lines = []
    for task in sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name):
        lines.append(f"  {task.get_name()}")
        waiting: Any = task.get_coro()
        while (at := getattr(waiting, "cr_frame", None)) is not None:
            place = Path(at.f_code.co_filename).name
            lines.append(f"    {place}:{at.f_lineno} {at.f_code.co_name}")
            waiting = waiting.cr_await
    return "\n".join(("", *lines)).encode()


def _write(to: int, words: bytes) -> None:
    while words:
        words = words[os.write(to, words) :]


def main() -> None:
    """Serve on standard input and output; what lives print goes to standard error."""
    die_with(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    log_output.configure(level="critical")
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
