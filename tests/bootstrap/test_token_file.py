"""The token of this machine: made once, private, and heeded as it changes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tradesaga.bootstrap.token_file import (
    LOCAL,
    TokenFile,
    ensure_token,
    read_token,
    rotate_token,
    token_path,
)
from tradesaga.domain.access import AccessScope, digest_of
from tradesaga.domain.errors import Invalid


def test_it_is_made_once_random_and_private(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    path = ensure_token(first)
    assert path == token_path(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = read_token(path)
    assert ensure_token(first) == path
    assert read_token(path) == token, "a second start keeps it"
    ensure_token(second)
    assert read_token(token_path(second)) != token, "no two machines have the same"


def test_where_nothing_can_be_written_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert ensure_token(tmp_path / "file") is None


def test_the_orchestrator_heeds_what_the_file_holds_now(tmp_path: Path) -> None:
    path = ensure_token(tmp_path)
    assert path is not None
    file, first = TokenFile(path), read_token(path)
    assert file.callers() == {digest_of(first): LOCAL}
    assert LOCAL.scopes == set(AccessScope)
    rotate_token(tmp_path)
    assert file.callers() == {digest_of(read_token(path)): LOCAL}
    assert read_token(path) != first
    path.chmod(0o640)
    assert file.callers() == {}, "others may have read it"
    path.chmod(0o600)
    assert len(file.callers()) == 1
    path.unlink()
    assert file.callers() == {}


@pytest.mark.parametrize("content", ["", "admin", "tsk_short", "tsk_" + "a" * 44])
def test_a_file_without_a_token_opens_nothing(tmp_path: Path, content: str) -> None:
    path = token_path(tmp_path)
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(Invalid, match="holds no token"):
        read_token(path)
    assert TokenFile(path).callers() == {}


def test_a_token_of_another_issuer_is_shown_where_one_may_be(tmp_path: Path) -> None:
    path = tmp_path / "jwt"
    path.touch(mode=0o600)
    path.write_text("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ." + "c" * 86 + "\n")
    assert read_token(path, foreign=True).startswith("eyJ")
    with pytest.raises(Invalid, match="holds no token"):
        read_token(path)
    for wrong in ("a.b", "a.b.c.d", "a b.c.d", "..", "a..c", "x" * 60):
        path.write_text(wrong)
        with pytest.raises(Invalid, match="holds no token"):
            read_token(path, foreign=True)
