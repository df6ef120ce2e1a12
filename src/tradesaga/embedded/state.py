"""The state directory: all that the embedded servers keep, in one place.

    supervisor.lock pg.fence nats.fence NAME.fence    locks, see processes.Fence
    pgdata/ run/ pgpass pgpass-reader                 cluster, its socket, logins (0600)
    nats/                                             nats.conf, logins, store, all 0700 or 0600
    ports.json dialect                                chosen once and kept; what neighbours speak
    dist-*/                                           hard links to binaries, see binaries
    *.log *.log.1                                     one older generation, turned at start

Refuses a disk that is nearly full: both servers would corrupt nothing, but stop in mid-trade.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from tradesaga.embedded.failures import NoSpace, Unusable
from tradesaga.embedded.identity import Identity

FREE_BYTES_MIN = 200 * 1000 * 1000
LOG_BYTES_MAX = 10 * 1000 * 1000
SOCKET_PATH_BYTES_MAX = 107
"""The kernel's limit for sun_path, without the final NUL."""

# Below Linux's ephemeral range (32768-60999): no outgoing connection takes a port of ours
# while its server restarts.
_PORTS = range(20_000, 32_000)
_PORT_TRIES = 100


def default_state_dir() -> Path:
    """Return /var/lib/tradesaga for root, else the XDG state directory's tradesaga.

    Raises Unusable for a user without a home.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/tradesaga")
    if (base := os.environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(base) / "tradesaga"
    try:
        return Path.home() / ".local" / "state" / "tradesaga"
    except RuntimeError as error:
        raise Unusable(f"{error}: set HOME or give --state-dir") from error


def make_state_dir(state_dir: Path) -> None:
    """Create it if need be and check that the disk has room.

    Raises Unusable.
    """
    try:
        for path in reversed(
            [path for path in (state_dir, *state_dir.parents) if not path.exists()]
        ):
            path.mkdir(exist_ok=True)
            # Root's servers run as another user, who must get through but need not look around.
            path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        free = shutil.disk_usage(state_dir).free
    except OSError as error:
        raise Unusable(
            f"state directory {state_dir} cannot be used: {error.strerror}; "
            "choose another with --state-dir"
        ) from error
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        raise Unusable(
            f"state directory {state_dir} is not writable for this user (uid {os.geteuid()}): "
            "run as its owner, or choose another with --state-dir"
        )
    if free < FREE_BYTES_MIN:
        raise NoSpace(
            f"only {free // 1_000_000} MB are free on the disk of {state_dir}, at least "
            f"{FREE_BYTES_MIN // 1_000_000} MB are needed: free some, or choose another "
            "directory with --state-dir"
        )


def make_private_dir(path: Path, identity: Identity | None) -> None:
    """Create a 0700 directory that belongs to the servers' user; refuse somebody else's."""
    path.mkdir(mode=0o700, exist_ok=True)
    owners = {os.geteuid()} | (set() if identity is None else {identity.uid})
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise Unusable(
            f"{path} is not a directory of ours (owner uid {found.st_uid}): remove it, run as its "
            "owner, or choose another directory with --state-dir"
        )
    path.chmod(0o700)
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)


def write_private(path: Path, text: str, identity: Identity | None = None) -> None:
    """Replace the file atomically by a 0600 one, owned by `identity` if given."""
    staging = path.with_name(f"{path.name}.new")
    staging.unlink(missing_ok=True)
    fd = os.open(staging, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        if identity is not None:
            os.fchown(fd, identity.uid, identity.gid)
        file.write(text)
        file.flush()
        os.fsync(fd)  # a token or port lost in a power cut would lock clients out
    move_durably(staging, path)


def move_durably(source: Path, target: Path) -> None:
    """Rename within one directory so that a power cut cannot undo it later."""
    source.rename(target)
    fd = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def turn_log(path: Path) -> None:
    """Rename a log beyond the limit to `.1`, replacing the one before."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_name(f"{path.name}.1"))


def socket_directory(state_dir: Path) -> Path:
    """Return where the unix socket goes: below the state directory unless its path is too long.

    Commas and quotes are list syntax to Postgres, so such a path counts as too long.
    """
    inside = state_dir / "run"
    length = len(os.fsencode(inside / ".s.PGSQL.65535"))
    if length <= SOCKET_PATH_BYTES_MAX and not set(str(inside)) & set(",\"'\\"):
        return inside
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
    runtime = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if not (runtime.is_absolute() and os.access(runtime, os.W_OK)):
        runtime = Path(tempfile.gettempdir())
    return runtime / f"tradesaga-{digest}"


def keep_login(path: Path, port: int, user: str) -> str:
    """Return the user's password on 127.0.0.1 as kept in `path`, a passfile of libpq (0600)."""
    if path.exists():
        password = path.read_text(encoding="utf-8").strip().rpartition(":")[2]
    else:
        password = secrets.token_urlsafe(32)
    write_private(path, f"127.0.0.1:{port}:*:{user}:{password}\n")
    return password


class Ports:
    """Loopback ports by use, chosen once and kept in `path`: clients find them after a crash."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, use: str) -> int | None:
        """Return the port kept for `use`."""
        return self._read().get(use)

    def keep_or_choose(self, use: str) -> int:
        """Return the kept port if nobody listens on it, else a new one that is kept from now on."""
        kept = self._read()
        port = kept.get(use)
        if port is not None and is_free(port):
            return port
        for _ in range(_PORT_TRIES):
            port = _PORTS.start + secrets.randbelow(len(_PORTS))
            if port not in kept.values() and is_free(port):
                write_private(self._path, json.dumps({**kept, use: port}, indent=2) + "\n")
                return port
        raise Unusable(f"no free port found between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a damaged file costs a new choice, no more
            return {}
        if not isinstance(found, dict):
            return {}
        return {use: port for use, port in found.items() if isinstance(port, int)}


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback port now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
