"""What the run has shown, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crash.schedules import Outcome

SHOWN_MAX = 20


def replay_of(schedule: str) -> str:
    """The command that plays exactly this schedule."""
    return f"make crash ARGS='--replay {schedule}'"


@dataclass(slots=True)
class Report:
    """Counts by scenario and action; every violation with its schedule; who caught which mutant."""

    played: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    pairs: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    violations: dict[str, list[str]] = field(default_factory=dict)
    mutants: dict[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0
    played_seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one schedule; one whose seam was not reached proves nothing and is set apart."""
        if outcome.violations:
            self.violations[str(outcome.schedule)] = outcome.violations
        elif outcome.missed:
            self.missed.append(str(outcome.schedule))
            return
        events = outcome.schedule.events
        kind = "undisturbed" if not events else "+".join(event.action for event in events)
        self.played[f"{outcome.schedule.scenario} {kind}"] += 1
        self.lives += len(events) + 1

    @property
    def schedules(self) -> int:
        """How many have reached their seams."""
        return self.played.total()

    @property
    def uncaught(self) -> list[str]:
        """The mutants that live."""
        return [name for name, catcher in self.mutants.items() if catcher is None]

    @property
    def ok(self) -> bool:
        """Whether nothing was violated and no mutant lives."""
        return not self.violations and not self.uncaught

    def text(self) -> str:
        """The summary for people."""
        kinds: Counter[str] = Counter()
        for name, number in self.played.items():
            kinds[name.partition(" ")[2]] += number
        caught = len(self.mutants) - len(self.uncaught)
        scenarios = len({name.partition(" ")[0] for name in self.played})
        said = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        rate = self.schedules / self.played_seconds if self.played_seconds else 0.0
        lines = [
            f"{self.schedules:,} schedules over {scenarios} scenarios ({said})",
            f"{rate:.1f} schedules a second",
            f"{len(self.violations)} violations, {len(self.missed)} seams not reached",
            f"{caught} of {len(self.mutants)} mutants caught, {self.seconds:.0f} s",
        ]
        if self.pairs:
            there = ", ".join(f"{number:,} {name}" for name, number in self.pairs.items())
            lines.append(f"pairs there are: {there}")
        lines += [f"replay: {replay_of(one)}" for one in list(self.violations)[:SHOWN_MAX]]
        lines += [f"alive: {name}" for name in self.uncaught]
        return "\n".join(lines)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Report:
        """The sum of reports that were written."""
        found = cls()
        for path in paths:
            content = json.loads(path.read_text(encoding="utf-8"))
            found.played.update(content["played"])
            found.lives += content["lives"]
            found.pairs = dict(Counter(found.pairs) + Counter(content["pairs"]))
            found.missed += content["missed"]
            found.violations |= content["violations"]
            found.mutants |= content["mutants"]
            found.seconds += content["seconds"]
            found.played_seconds += content["playedSeconds"]
        return found

    def write(self, path: Path) -> None:
        """The whole, as JSON, with the summary as text beside it."""
        content = {
            "schedules": self.schedules,
            "lives": self.lives,
            "played": dict(sorted(self.played.items())),
            "violations": self.violations,
            "missed": self.missed,
            "mutants": self.mutants,
            "pairs": self.pairs,
            "seconds": round(self.seconds, 1),
            "playedSeconds": round(self.played_seconds, 1),
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".txt").write_text(self.text() + "\n", encoding="utf-8")
