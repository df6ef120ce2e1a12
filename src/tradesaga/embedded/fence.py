"""A lock that a process shares with everything it forks: taken means that none of them lives."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
from pathlib import Path

from tradesaga.embedded.failures import Unusable

POLL_SECONDS = 0.01


class Fence:
    """A flock whose descriptor the child inherits, and everything that the child forks.

    The kernel holds it as long as one of them lives, so reused pids, zombies and reboots cannot
    mislead whoever takes it. Never LOCK_UN: the child shares the description.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd: int | None = None

    async def take(self, seconds: float = 0.0) -> bool:
        """Take the fence, trying for `seconds`; False if another process still holds it.

        Raises Unusable where the file system cannot lock.
        """
        fd = self._open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            while not _try_lock(fd):
                if loop.time() >= deadline:
                    os.close(fd)
                    return False
                await asyncio.sleep(POLL_SECONDS)
        except OSError as error:
            os.close(fd)
            raise Unusable(
                f"{self.path} cannot be locked ({error.strerror}): the file system has no flock; "
                "choose a directory on a local disk with --state-dir"
            ) from error
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        return True

    def drop(self) -> None:
        """Let go of it; processes that inherited it keep it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def signal_holders(self, signal_number: signal.Signals) -> tuple[int, ...]:
        """Signal every process that has the fence open, except ourselves; return their pids."""
        place = os.stat(self.path)
        holders = []
        for pid in _pids():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, PermissionError):
                # Opened before the check: the pid cannot be reused between check and signal.
                pidfd = os.pidfd_open(pid)
                try:
                    if _has_open(pid, place):
                        signal.pidfd_send_signal(pidfd, signal_number)
                        holders.append(pid)
                finally:
                    os.close(pidfd)
        return tuple(holders)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unusable(
                f"{self.path} cannot be opened ({error.strerror}): run as the owner of the "
                "directory, or choose another with --state-dir"
            ) from error


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _pids() -> list[int]:
    ours = os.getpid()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != ours]


def _has_open(pid: int, place: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(f"{folder}/{number}")
            if (found.st_dev, found.st_ino) == (place.st_dev, place.st_ino):
                return True
    return False
