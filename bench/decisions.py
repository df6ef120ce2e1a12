"""From a decision in hand to its durable intent, and to its order at the venue, at a steady rate.

Arrivals follow the clock whatever is still open, so a stall is paid by everything that waits.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bench.product import Product
from bench.sagas import percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Milliseconds, p50 and p99; `per_second` None: one after the other, no pause between."""

    per_second: int | None
    decisions: int
    durable: tuple[float, float]
    sent: tuple[float, float]


async def reaction(product: Product, per_second: int | None, seconds: float) -> Reaction:
    """Let decisions arrive for `seconds`; without a rate, each when the last has been sent."""
    sent: dict[str, float] = {}
    product.venue.sent = sent
    durable_ms: list[float] = []
    sent_ms: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        trade = await product.begun()
        durable_ms.append((time.perf_counter() - began) * 1000)
        await product.runner.run(trade)
        sent_ms.append((sent.pop(trade.state.order.client_order_id) - began) * 1000)

    first = time.perf_counter()
    if per_second is None:
        while time.perf_counter() - first < seconds:
            await one()
    else:
        async with asyncio.TaskGroup() as group:
            for arrival in range(max(1, int(per_second * seconds))):
                await asyncio.sleep(first + arrival / per_second - time.perf_counter())
                group.create_task(one())
    product.venue.sent = None
    durable_ms.sort()
    sent_ms.sort()
    return Reaction(
        per_second=per_second,
        decisions=len(sent_ms),
        durable=(percentile(durable_ms, 50), percentile(durable_ms, 99)),
        sent=(percentile(sent_ms, 50), percentile(sent_ms, 99)),
    )
