"""The token of this machine: a file in the state directory that the command line reads by itself.

It is made at the first start, from 256 random bits, with mode 0600, and stands for every scope. The
orchestrator looks at it twice a second: a new content rotates the token, a removed file revokes it.
A file that others may read opens nothing. The API does not trust loopback: who cannot read the file
has no token.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from structlog import get_logger

from tradesaga.adapters.system import new_api_secret
from tradesaga.domain.access import TOKEN, AccessScope, Caller, digest_of
from tradesaga.domain.errors import Invalid
from tradesaga.domain.foreign_tokens import FORM
from tradesaga.embedded.state import write_private

log = get_logger()
NAME: Final = "api-token"
BYTES_MAX: Final = 16 * 1024
LOCAL: Final = Caller(name="local", token_id="file", scopes=frozenset(AccessScope))  # noqa: S106 -- no secret
_NOBODY: Final[Mapping[str, Caller]] = MappingProxyType({})


def token_path(state_dir: Path) -> Path:
    """Where the token of the state directory is."""
    return state_dir / NAME


def ensure_token(state_dir: Path) -> Path | None:
    """Make the file unless it is there; None where none can be made."""
    path = token_path(state_dir)
    if path.exists():
        return path
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, new_api_secret() + "\n")
    except OSError as error:
        log.warning("no token file can be made", path=str(path), error=error.strerror)
        return None
    return path


def rotate_token(state_dir: Path) -> Path:
    """Put another token into the file. Raises OSError."""
    write_private(token_path(state_dir), new_api_secret() + "\n")
    return token_path(state_dir)


def read_token(path: Path, *, foreign: bool = False) -> str:
    """The token in a private file of this user; `foreign`: it may be another issuer's, too.

    Raises:
        FileNotFoundError: there is none.
        Invalid: others may read it, or it holds no token.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(BYTES_MAX).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Invalid([f"{path} cannot be read: {error.strerror}"]) from error
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Invalid([f"{path} may be read by others: chmod 600, and rotate the token"])
    if TOKEN.fullmatch(text) is None and not (foreign and FORM.fullmatch(text)):
        raise Invalid([f"{path} holds no token: `tradesaga token rotate --local` writes one"])
    return text


class TokenFile:
    """Tells the orchestrator which token the file holds now; read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._callers = _NOBODY

    def callers(self) -> Mapping[str, Caller]:
        """The digest of the token with its caller; empty without a usable file."""
        try:
            now = self._path.stat()
        except OSError:
            self._seen, self._callers = (), _NOBODY
            return self._callers
        seen = (now.st_ino, now.st_mtime_ns, now.st_mode, now.st_size)
        if seen != self._seen:
            self._seen = seen
            try:
                self._callers = {digest_of(read_token(self._path)): LOCAL}
            except (Invalid, FileNotFoundError) as error:
                log.error("the token file opens nothing", error=str(error))  # noqa: TRY400 -- says it all
                self._callers = _NOBODY
        return self._callers
