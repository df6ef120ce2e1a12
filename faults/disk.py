"""A disk of one's own: its writes can be held, slowed down, made to fail, and lost.

An ext4 file system on a loop device, mounted in a private mount namespace: `private` starts this
program anew in one, and `Disk` refuses to mount anywhere else. The image has no name once it is
in use and the device lets go of it at its last close, so that nothing is left however this
process ends. What holds or slows the disk for a while is a process of its own that ends by itself.

A power cut is ext4's own: whatever was not flushed is gone, all that follows fails. A drive that
lies about a flush is not modelled.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

TOOLS = ("unshare", "mount", "umount", "losetup", "mkfs.ext4", "fsfreeze")
SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125  # _IOR('X', 125, __u32)
FLUSH_NOTHING = 2
THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_iops_device")
"""Of the root of cgroup v1, so that it holds for the kernel's own writes too."""
NAMESPACE = Path("/proc/self/ns/mnt")
UNMOUNT_SECONDS_MAX = 15.0
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_HOLD = 'fsfreeze --freeze "$1" && sleep "$2"; fsfreeze --unfreeze "$1"'
_STUTTER = """end=$(( $(date +%s) + $2 )); while [ $(date +%s) -lt $end ]; do
  fsfreeze --freeze "$1"; sleep 1; fsfreeze --unfreeze "$1"; sleep 0.02; done"""
_SLOW = 'echo "$1 $2" > "$4"; sleep "$3"; echo "$1 0" > "$4"'


class NoDisk(Exception):
    """This machine does not give us one; the message says what it lacks."""


def lacking() -> str:
    """What keeps this process from having a disk; empty when nothing does."""
    if os.geteuid() != 0:
        return "root"
    for tool in TOOLS:
        if shutil.which(tool, path=_PATH) is None:
            return tool
    if not Path("/dev/loop-control").exists():
        return "loop devices"
    tried = subprocess.run(
        [_tool("unshare"), "--mount", "--propagation", "private", "true"], check=False
    )
    return "the right to a mount namespace" if tried.returncode else ""


def can_throttle() -> bool:
    """Whether the kernel can slow a device down for us."""
    return os.access(THROTTLE, os.W_OK)


def private(arguments: Sequence[str]) -> None:
    """Become `python -m faults` in a mount namespace of its own; does not return."""
    outside = os.readlink(NAMESPACE)
    os.execv(
        _tool("unshare"),
        [
            "unshare", "--mount", "--propagation", "private",
            sys.executable, "-m", "faults", *arguments, "--outside", outside,
        ],
    )  # fmt: skip


class Disk:
    """An ext4 file system on `mountpoint`; `kept_out` are folders below it that it does not hold.

    Each of them is a folder of the other disk, given by the name below the mountpoint.
    Raises NoDisk.
    """

    def __init__(
        self,
        mountpoint: Path,
        *,
        megabytes: int,
        outside: str,
        kept_out: dict[str, Path] | None = None,
    ) -> None:
        if os.readlink(NAMESPACE) == outside:
            raise NoDisk("a mount namespace of its own")
        self.mountpoint = mountpoint
        self._kept_out = kept_out or {}
        self._ballast = mountpoint / "ballast"
        mountpoint.mkdir(exist_ok=True)
        image = mountpoint.with_name(f"{mountpoint.name}.img")
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        try:
            _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
            self._device = _run("losetup", "--find", "--show", str(image)).strip()
            # Held open, or the device would let go of the image between two mounts.
            self._held = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
            _run("losetup", "--detach", self._device)  # at the last close
        finally:
            image.unlink()
        self.mount()
        mountpoint.chmod(0o711)

    @property
    def numbers(self) -> str:
        """Major and minor number of the device."""
        found = os.stat(self._device).st_rdev
        return f"{os.major(found)}:{os.minor(found)}"

    @property
    def is_mounted(self) -> bool:
        """Whether it is there."""
        return self.mountpoint.is_mount()

    def mount(self) -> None:
        """Mount it; what its journal holds is replayed."""
        # Without ext4's own guess which renames want a flush: other file systems do not guess.
        options = "noauto_da_alloc,nodev,nosuid"
        _run("mount", "-t", "ext4", "-o", options, self._device, str(self.mountpoint))
        for name, folder in self._kept_out.items():
            (self.mountpoint / name).mkdir(exist_ok=True)
            _run("mount", "--bind", str(folder), str(self.mountpoint / name))

    async def unmount(self) -> None:
        """Unmount it, as soon as nobody has anything open there."""
        deadline = time.monotonic() + UNMOUNT_SECONDS_MAX
        while True:
            try:
                _run("umount", "--recursive", str(self.mountpoint))
            except NoDisk as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(str(error)) from error
                await asyncio.sleep(0.02)
            else:
                return

    async def close(self) -> None:
        """Give everything back."""
        try:
            if self.is_mounted:
                await self.unmount()
        finally:
            os.close(self._held)

    def cut(self) -> None:
        """Lose what was not flushed; from now on everything fails, until it is mounted again."""
        folder = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", FLUSH_NOTHING))
        finally:
            os.close(folder)

    async def held(self, seconds: float) -> None:
        """Nothing is written for so long: whoever writes waits."""
        await _ended(_HOLD, str(self.mountpoint), str(seconds))

    async def slowed(self, writes_per_second: int, seconds: int) -> None:
        """The device does so many writes a second, and the kernel keeps the others waiting.

        Where the kernel cannot, it stands still for a second again and again instead.
        """
        if can_throttle():
            limit = str(writes_per_second)
            await _ended(_SLOW, self.numbers, limit, str(seconds), str(THROTTLE))
        else:
            await _ended(_STUTTER, str(self.mountpoint), str(seconds))

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb") as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    continue

    def empty(self) -> None:
        """Take away what filled it."""
        self._ballast.unlink(missing_ok=True)


async def _ended(script: str, *arguments: str) -> None:
    """Run a script that goes on to its end whatever becomes of us: it takes back what it does."""
    code = await asyncio.to_thread(_detached(script, *arguments).wait)
    assert code == 0, f"exit code {code} of {script!r} with {arguments}"


def _detached(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", *arguments], env={"PATH": _PATH}, start_new_session=True
    )


def _tool(name: str) -> str:
    return shutil.which(name, path=_PATH) or name


def _run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [_tool(name), *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise NoDisk(f"{name}: {done.stderr.strip()}")
    return done.stdout
