"""One seed: a stretch of trading with faults, then all is healed, then everything is checked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter, process_time  # noqa: TID251 -- how long a simulation takes is real time

from sim.checks import breaches, is_at_rest, is_parked, orders_of, sagas_of
from sim.extras import Extra, add_to
from sim.town import Operator, Town, somebody_else, storms
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.events import OrderReported
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.testing.sim_bus import Message
from tradesaga.testing.sim_journal import waiting_lines
from tradesaga.testing.sim_loop import Deadlock, SimLoop

HEALED_SECONDS_MAX = 600.0
"""Everything must have come to rest so long after the last fault."""
DAY_ENDS_AFTER = 200.0
SHUTDOWN_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one seed showed."""

    seed: int
    hours: float
    trace: str
    simulated_seconds: float
    real_seconds: float
    cpu_seconds: float
    callbacks: int
    violations: tuple[str, ...]
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def replay(self) -> str:
        """The command that shows this very run again."""
        hours = f" --hours {self.hours:g}" if self.hours != 1 else ""
        return f"python -m sim --seeds 1 --start {self.seed}{hours} --trace"


def simulate(
    seed: int,
    *,
    hours: float = 1.0,
    on_note: Callable[[str], None] | None = None,
    extras: Set[Extra] = frozenset(),
) -> Result:
    """Run the seed's world, with what it does not have by itself, and judge it."""
    began, cpu_began = perf_counter(), process_time()
    loop = SimLoop(seed, on_note=on_note)
    strange: list[str] = []
    loop.set_exception_handler(
        lambda _, context: strange.append(f"{context['message']}: {context.get('exception')!r}")
    )
    town = Town(loop)
    add_to(town, extras)
    town.stream.on_settled = lambda message: _check_settled(town, message)
    try:
        violations = loop.run_until_complete(_lived(town, hours * 3600, extras))
    except Deadlock as deadlock:
        violations = [str(deadlock)]
    finally:
        loop.close()
    return Result(
        seed=seed,
        hours=hours,
        trace=loop.trace,
        simulated_seconds=loop.time(),
        real_seconds=perf_counter() - began,
        cpu_seconds=process_time() - cpu_began,
        callbacks=loop.callbacks,
        violations=(*violations, *strange),
        figures=_figures(town),
    )


async def _lived(town: Town, seconds: float, extras: Set[Extra]) -> list[str]:
    loop, operator = town.loop, Operator(town)
    nodes = [loop.create_task(node.run()) for node in town.nodes]
    troubles = [loop.create_task(storms(town)), loop.create_task(operator.run())]
    if Extra.STRANGERS in extras:
        troubles.append(loop.create_task(somebody_else(town)))
    await town.clock.sleep(seconds)
    for task in troubles:
        task.cancel()
    await asyncio.wait(troubles)
    town.weather.heal()
    loop.note("all is healed")
    found = [f"the operator failed: {t.exception()!r}" for t in troubles if not t.cancelled()]
    found += await _rested(town, operator)
    for node in town.nodes:
        node.stop.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(SHUTDOWN_SECONDS_MAX):
            await asyncio.wait(nodes)
    if not all(task.done() for task in nodes):
        found.append("a node does not stop")
    found += [f"a node failed: {t.exception()!r}" for t in nodes if t.done() and t.exception()]
    return found


async def _rested(town: Town, operator: Operator) -> list[str]:
    """Stop the agent, wait until nothing moves, and look."""
    try:
        async with asyncio.timeout(HEALED_SECONDS_MAX):
            await operator.command("stop")
            town.loop.call_later(DAY_ENDS_AFTER, town.venue.close_day)
            await town.clock.sleep(DAY_ENDS_AFTER + 1)
            while is_parked(town.store) or town.stream.unsettled or not _is_quiet(town):
                await operator.settle_parked(1.0)
                await town.clock.sleep(0.5)
    except TimeoutError:
        left = f"{len(town.stream.unsettled)} messages, {len(_unpublished(town))} events"
        return [f"no rest after {HEALED_SECONDS_MAX} s: {left}", *breaches(town)]
    return breaches(town)


def _is_quiet(town: Town) -> bool:
    return not _unpublished(town) and is_at_rest(town.store)


def _unpublished(town: Town) -> list[object]:
    return [*waiting_lines(town.store, DEFAULT_AGENT)]


def _check_settled(town: Town, message: Message) -> None:
    """A message about an order may be acknowledged once its id is in the inbox, not before."""
    incoming = message.incoming
    if incoming is None or not isinstance(incoming.content, OrderReported):
        return
    if ("inbox", DEFAULT_AGENT, incoming.event_id) not in town.store.unique:
        town.kept.faults.append(f"{incoming.event_id} was acknowledged before its commit")


def _figures(town: Town) -> Counter[str]:
    figures = Counter[str](lives=town.lives, sagas=len(sagas_of(town)))
    figures.update(f"order {order.status}" for order in orders_of(town))
    figures.update(f"saga {saga.status}" for saga in sagas_of(town))
    figures["interventions"] = town.kept.interventions
    figures["busts"] = sum(len(placed.busts) for placed in town.venue.orders.values())
    figures["events"] = len(town.stream.published)
    figures["foreign orders"] = len(town.venue.strangers)
    kept = town.store.of(ExternalOrder, DEFAULT_AGENT)
    figures["foreign orders kept"] = sum(k.venue_order_id in town.venue.strangers for k in kept)
    figures["sent"] = len(town.venue.sent)
    entered = (each.entry for each in town.store.log_of(DEFAULT_AGENT))
    figures.update(f"ladder {e.body['cause']}" for e in entered if e.kind == "ladder.entered")
    decided = town.store.of(Decision, DEFAULT_AGENT)
    figures["shadowed"] = sum(each.verdict is Verdict.SHADOW for each in decided)
    return figures
