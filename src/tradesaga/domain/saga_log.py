"""The log entry of one commit of a saga, and the single steps that it tells.

A commit takes several steps and books fills: one entry names them all, in the order in which they
were taken, with the state in which they end said once. Readers see each step and each fill by
itself: `told` takes an entry apart, as the view `saga_steps` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STEPS = "saga.steps"
"""The kind of an entry that names the steps and fills of one commit."""
STEP, FACT = "saga.step", "saga.fact"
BOOKED, VOIDED = "fill.booked", "fill.voided"


def told(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Kind and body of every single thing that an entry of this kind and body tells."""
    if kind != STEPS:
        yield kind, body
        return
    ending = {name: value for name, value in body.items() if name not in ("steps", "fills")}
    for step in body["steps"]:
        yield STEP, {**step, **ending}
    for fill in body["fills"]:
        yield VOIDED if str(fill["quantity"]).startswith("-") else BOOKED, fill
