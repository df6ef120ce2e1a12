"""What acts: the digests of this program and of its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from tradesaga import __version__
from tradesaga.domain.checkpoint import Identity

CODE = (".py", ".sql")


def identity_of(configuration_hash: str) -> Identity:
    """The identity of this process; the strategies are the engine's to know."""
    return Identity(release=__version__, code=code_digest(), configuration=configuration_hash)


def code_digest() -> str:
    """SHA-256 over every source file of the package, by its path; takes a few milliseconds."""
    digest = sha256()
    for name, content in _sources(files("tradesaga"), ""):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(place: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for child in sorted(place.iterdir(), key=lambda one: one.name):
        name = f"{path}/{child.name}"
        if child.is_dir():
            yield from _sources(child, name)
        elif name.endswith(CODE):
            yield name, child.read_bytes()
