"""A sample of what `make crash` plays whole, and proof that it can fail.

Every schedule forks real processes of the product on a real Postgres and kills them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from crash.actions import Action, Event
from crash.classes import (
    after_requests,
    cover,
    different,
    each_with_each_label,
    places,
    second_kills,
)
from crash.mutants import MUTANTS
from crash.proof import disturbed, hunted, sampled
from crash.report import Report
from crash.scenarios import SCENARIOS
from crash.schedules import Outcome, Schedule, play
from crash.stand import Stand, stand
from tradesaga.testing.seams import Seam, Seams

LANES = 1
IN_MID_SEND = (
    "full", "partial", "late", "no_dedupe", "told_first", "throttled", "eight_contested",
    "ambiguous",
)  # fmt: skip
SAMPLE = (
    "full/kill@statement.committed#6/kill@statement.before#2",
    "full/kill@delivery.received#2",
    "full/stop@journal.commit.before#10",
    "full/pause@delivery.received#2",
    "full/timeout@venue.submit.sent#2",
    "full/freeze@journal.commit.done#9",
    "no_dedupe/freeze@statement.before#7",
    "full/term@venue.submit.before#1",
    "full/cut@statement.committed#6",
    "no_fill/kill@venue.cancel.sent#1",
    "partial/kill@venue.cancel.answered#2/kill@recovery.trades#1",
)
pytestmark = pytest.mark.timeout(60)  # every life has a bound of its own
MUTANT_SAMPLE = (  # none that only a crowd at the right moment shows
    "the specification's saga, literally",
    "5xx = rejected",
    "a crash forgets the send",
    "marked before it is published",
    "timed pause in memory",
    "ambiguous = absent",
)


@pytest.fixture
async def here(database_dsn: str, state_dir: Path) -> AsyncIterator[Stand]:
    """A stand on the test's database."""
    async with stand(database_dsn, state_dir, LANES) as found:
        yield found


async def test_killed_while_the_order_is_out_every_scenario_ends_right(here: Stand) -> None:
    for name in IN_MID_SEND:
        outcome = await play(here, Schedule.parse(f"{name}/kill@venue.submit.sent#2"))
        assert (str(outcome.schedule), outcome.violations) == (str(outcome.schedule), [])


async def test_a_sample_of_disturbances_ends_right(here: Stand) -> None:
    missed = []
    for text in SAMPLE:
        outcome = await play(here, Schedule.parse(text))
        assert (text, outcome.violations) == (text, [])
        missed += [text] if outcome.missed else []
    assert len(missed) <= 2, "sagas side by side vary, the story does not"


async def test_what_is_broken_is_caught_and_named(here: Stand) -> None:
    report = Report()
    for name in MUTANT_SAMPLE:
        await hunted(here, report, name, lambda line: None)
    assert report.uncaught == []
    assert report.mutants["5xx = rejected"] == "answer_lost"
    literal = str(report.mutants["the specification's saga, literally"])
    assert literal.startswith("full/kill@venue.submit.sent#")


async def test_a_life_that_dies_of_anything_else_is_a_violation(here: Stand) -> None:
    outcome = await play(here, Schedule("full"), mutant="a life that dies of itself")
    assert ["died of signal 9, not at the planned seam" in v for v in outcome.violations] == [True]


def test_a_schedule_reads_as_it_is_written() -> None:
    for text in (*SAMPLE, "full"):
        assert str(Schedule.parse(text)) == text
    with pytest.raises(KeyError):
        Schedule.parse("nowhere/kill@a#1")
    with pytest.raises(ValueError, match="nothing"):
        Schedule.parse("full/nothing@a#1")


def test_a_seam_is_a_label_and_a_hit_and_is_acted_on_once() -> None:
    acted: list[str] = []
    seams = Seams(Seam("a", 2), lambda: acted.append("now"))
    for label in ("a", "b", "a", "a"):
        seams.hit(label)
        assert acted == (["now"] if len(seams.passed) >= 3 else [])
    assert [str(seam) for seam in seams.passed] == ["a#1", "b#1", "a#2", "a#3"]


def test_schedules_cover_every_seam_and_leave_out_moments_in_time() -> None:
    seams = [Seam("statement.committed", 1), *(Seam("lease.renew.done", n) for n in range(1, 9))]
    assert len(places(seams)) == 4
    everything = {each.events[0].action for each in disturbed("full", [*seams, Seam("venue.x", 1)])}
    assert everything == set(Action)
    assert [each.events[0].action for each in disturbed("refused", seams[:1])] == ["kill", "cut"]


def test_second_kills_are_those_of_recoveries() -> None:
    killed = Schedule("full", (Event(Action.KILL, Seam("a", 1)),))
    stopped = Schedule("full", (Event(Action.STOP, Seam("a", 1)),))
    lives: list[tuple[Seam, ...]] = [(Seam("x", 1), Seam("y", 1))]
    outcomes = [Outcome(killed, lives=lives), Outcome(stopped, lives=lives)]
    found = [str(each) for each in second_kills(outcomes)]
    assert found == ["full/kill@a#1/kill@x#1", "full/kill@a#1/kill@y#1"]
    assert sampled([killed, stopped], 1, seed=1) == sampled([killed, stopped], 1, seed=1)


def test_second_kills_that_change_nothing_stand_for_each_other() -> None:
    passed = tuple(
        Seam.parse(text)
        for text in (
            "lease.take.before#1", "lease.take.done#1", "recovery.agent#1", "statement.before#1",
            "statement.committed#1", "journal.commit.before#1", "statement.before#2",
            "statement.committed#2",
        )
    )  # fmt: skip
    assert [str(seam) for seam in after_requests(passed)] == [
        "lease.take.before#1",  # nothing has gone out yet
        "lease.take.done#1",
        "statement.committed#1",
        "statement.committed#2",
    ]
    kills = [Schedule("full", (Event(Action.KILL, Seam("a", n)),)) for n in (1, 2, 3)]
    left = ("one", "one", "another")
    outcomes = [
        Outcome(kill, lives=[passed], left=what) for kill, what in zip(kills, left, strict=True)
    ]
    assert len(second_kills(outcomes)) == 3 * 8
    assert len(different(outcomes)) == 2 * 4
    labels = [str(each) for each in each_with_each_label(outcomes)]
    assert len(labels) == 2 * 3  # labels, not hits
    assert "full/kill@a#1/kill@statement.committed#1" in labels
    assert "full/kill@a#3/kill@statement.committed#2" in labels


def test_the_cover_has_every_condition_and_every_two_values_of_the_axes() -> None:
    outcomes = [
        Outcome(
            Schedule(scenario, (Event(Action.KILL, Seam(first, hit)),)),
            lives=[tuple(Seam(f"{second}.before", 1) for second in "xyz")],
            left=f"{first}{hit % 4}",
        )
        for scenario in ("full", "partial")
        for first in "abc"
        for hit in range(1, 9)
    ]
    found = cover(outcomes, seed=3)
    assert found == cover(outcomes, seed=3)
    values = [(s.scenario, *(event.at.label for event in s.events)) for s in found]
    for one, other, number in ((0, 1, 2 * 3), (0, 2, 2 * 3), (1, 2, 3 * 3)):
        assert len({(each[one], each[other]) for each in values}) == number
    left = {str(outcome.schedule): outcome.left for outcome in outcomes}
    conditions = {(s.scenario, left[str(replace(s, events=s.events[:1]))]) for s in found}
    assert len(conditions) == 2 * 3 * 4
    assert len(found) < len(second_kills(outcomes)) / 2


def test_the_report_counts_what_was_reached_and_fails_on_what_was_broken(tmp_path: Path) -> None:
    report = Report()
    report.add(Outcome(Schedule("full")))
    report.add(Outcome(Schedule.parse("full/kill@a#1"), missed=True))
    assert (report.schedules, report.missed, report.ok) == (1, ["full/kill@a#1"], True)
    report.mutants["one"] = None
    assert not report.ok
    report.mutants["one"] = "full"
    report.add(Outcome(Schedule.parse("full/kill@b#1"), violations=["broken"]))
    assert not report.ok
    report.write(tmp_path / "r.json")
    assert "--replay full/kill@b#1" in (tmp_path / "r.txt").read_text(encoding="utf-8")
    twice = Report.read([tmp_path / "r.json", tmp_path / "r.json"])
    assert (twice.schedules, twice.violations, twice.ok) == (4, report.violations, False)


def test_the_zoo_is_large_and_names_its_schedules() -> None:
    assert len(MUTANTS) >= 51
    assert next(iter(MUTANTS)) == "the specification's saga, literally"
    assert {mutant.scenario for mutant in MUTANTS.values()} <= SCENARIOS.keys()
