"""The summary of a run: what was done, and whether everything that must hold does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.tally import Counts, Tally, Unsettled
from tradesaga.bootstrap.display import Played, money
from tradesaga.bootstrap.verifying import Venue, check_everything
from tradesaga.domain.ids import AgentId
from tradesaga.ports.records import Circumstances, Invariant

FAILED_CYCLES = ("analysis failed", "heartbeat failed", "rebalance failed")
NEEDS_A_PERSON = "manual_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that is told at the end of a recording."""

    played: Played
    symbols: Sequence[str]
    counts: Counts
    invariants: Sequence[Invariant]
    unsettled: Unsettled

    @property
    def is_good(self) -> bool:
        """No failed cycle, no broken invariant, nothing left open."""
        return not any(self._complaints())

    def lines(self) -> list[str]:
        """For people; complaints last."""
        counts = self.counts
        first, last = self.played.sessions[0][0], self.played.sessions[-1][0]
        symbols = ", ".join(self.symbols)
        checked = sum(1 for one in self.invariants if not one.skipped)
        broken = sum(1 for one in self.invariants if one.violations)
        rows = [
            (
                "sessions",
                f"{len(self.played.sessions)}, {first:%Y-%m-%d} to {last:%Y-%m-%d}, {symbols}",
            ),
            ("cycles", _listed(counts.cycles)),
            ("decisions", _listed(counts.decisions)),
            ("orders", _listed(counts.orders)),
            ("fills", _listed(counts.fills)),
            ("P&L", _figures(counts.profit, counts.equity)),
            ("sagas", _listed(counts.sagas)),
            ("invariants", f"{checked} checked, {broken or 'none'} broken"),
        ]
        return [f"  {name:<11} {text}" for name, text in rows] + list(self._complaints())

    def _complaints(self) -> Iterator[str]:
        for name in FAILED_CYCLES:
            if number := self.counts.cycles.get(name):
                yield f"FAILED      {number} {name}: see `tradesaga cycles ls --status failed`"
        if number := self.counts.sagas.get(NEEDS_A_PERSON):
            yield f"UNRESOLVED  {number} sagas need a person"
        if self.unsettled:
            left = self.unsettled
            yield (
                f"UNSETTLED   {left.cycles} cycles, {left.sagas} sagas and {left.events} events "
                "are still under way"
            )
        for one in self.invariants:
            if one.violations:
                yield f"BROKEN      {one.name}, {one.violations} times: {one.description}"
                yield from (f"            {_row(row)}" for row in one.sample)


async def summarize(
    pool: ReaderPool,
    agent_id: AgentId,
    *,
    played: Played,
    symbols: Sequence[str],
    venue: Venue,
    unsettled: Unsettled,
    given: Circumstances,
) -> Summary:
    """Read and check everything. Raises Unavailable."""
    invariants = await check_everything(pool, agent_id, venue=venue, given=given)
    return Summary(
        played=played,
        symbols=symbols,
        counts=await Tally(pool, agent_id).counts(),
        invariants=invariants,
        unsettled=unsettled,
    )


def _listed(numbers: Mapping[str, int]) -> str:
    total = sum(numbers.values())
    parts = ", ".join(f"{number:,} {name}" for name, number in numbers.items())
    return f"{total:,}" + (f" ({parts})" if parts else "")


def _figures(profit: Decimal | None, equity: Decimal | None) -> str:
    if profit is None or equity is None:
        return "unknown"
    return f"{money(profit)}, equity {equity:,.2f}"


def _row(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())
