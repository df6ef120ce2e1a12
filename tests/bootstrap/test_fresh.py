"""`--fresh`: a replay is put aside whole, anything else is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradesaga.bootstrap.fresh import put_aside
from tradesaga.domain.errors import Invalid
from tradesaga.paper.places import STORE_FILE


def replay_in(state_dir: Path, mark: str) -> None:
    for part in ("pgdata", "nats", "paper"):
        (state_dir / part).mkdir()
        (state_dir / part / "mark").write_text(mark)
    (state_dir / "paper" / STORE_FILE).touch()


def test_each_run_is_kept_in_a_place_of_its_own(tmp_path: Path) -> None:
    for number in ("1", "2"):
        replay_in(tmp_path, number)
        place = put_aside(tmp_path)
        assert place == tmp_path / "former-runs" / number
        assert [(place / part / "mark").read_text() for part in ("pgdata", "nats", "paper")] == [
            number
        ] * 3
        assert [path.name for path in tmp_path.iterdir()] == ["former-runs"]


def test_nothing_there_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "supervisor.lock").touch()
    assert put_aside(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["supervisor.lock"]


def test_a_database_without_a_replay_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    with pytest.raises(Invalid, match="something else than a replay"):
        put_aside(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pgdata"]


def test_an_interrupted_move_can_be_repeated(tmp_path: Path) -> None:
    replay_in(tmp_path, "1")
    (tmp_path / "pgdata").rename(tmp_path / "elsewhere")  # killed after the first of three
    assert put_aside(tmp_path) is not None
    assert not (tmp_path / "paper").exists()
