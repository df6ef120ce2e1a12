"""Whom the servers run as, what that user can reach, and the environment that they see.

Postgres refuses root, and NATS needs no more rights than Postgres: under root both run as an
unprivileged user. An ordinary user runs them as himself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tradesaga.embedded.failures import Unusable

SERVER_USERS = ("tradesaga", "postgres", "nobody")
"""The first of them that exists runs the servers when we are root."""

# Asked as that user: permission bits alone do not show a closed parent directory.
_ACCESS_SHIM = """
import os, sys
uid, gid = map(int, sys.argv[1:3])
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
for pair in zip(sys.argv[3::2], sys.argv[4::2]):
    if not os.access(pair[0], int(pair[1])):
        sys.stdout.write(pair[0])
        break
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """User and group that the servers run as when the supervisor is root."""

    uid: int
    gid: int
    user: str


def server_identity(directory: Path) -> Identity | None:
    """Return the unprivileged user for the server of `directory`, None if we are not root.

    An existing directory keeps its user, though a preferred one may have been added since. Raises
    Unusable for root on a machine without any such user.
    """
    if os.geteuid() != 0:
        return None
    usable = []
    for name in SERVER_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            usable.append(Identity(entry.pw_uid, entry.pw_gid, name))
    if not usable:
        raise Unusable(
            f"Postgres does not run as root and none of the users {', '.join(SERVER_USERS)} "
            "exists: add one (useradd --system tradesaga), run as an ordinary user, or give "
            "DB_HOST and NATS_URL to use servers elsewhere"
        )
    owner = directory.stat().st_uid if directory.exists() else None
    return next((identity for identity in usable if identity.uid == owner), usable[0])


def server_environment() -> dict[str, str]:
    """Return a servers' environment: no locale but C, and none of our secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


async def first_denied(identity: Identity | None, *needs: tuple[Path, int]) -> Path | None:
    """Return the first path that `identity` cannot access with its mode (os.R_OK ...), or None."""
    if identity is None:
        return next((path for path, mode in needs if not os.access(path, mode)), None)
    words = [word for path, mode in needs for word in (str(path), str(mode))]
    ids = (str(identity.uid), str(identity.gid))
    answer = await run([sys.executable, "-I", "-S", "-c", _ACCESS_SHIM, *ids, *words])
    return Path(answer) if answer else None


async def run(argv: Sequence[str], *, seconds_max: float = 20.0) -> str:
    """Run a short command in a worker thread and return its output; raise Unusable if it fails."""

    def call() -> str:
        return subprocess.run(
            argv, check=True, capture_output=True, text=True, cwd="/", timeout=seconds_max
        ).stdout

    try:
        return await asyncio.to_thread(call)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or ""
        raise Unusable(f"cannot run {argv[0]}: {error} {detail}".rstrip()) from error
