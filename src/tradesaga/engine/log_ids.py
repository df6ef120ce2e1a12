"""The ids that whatever is said about a trade bears, in logs and traces; one leads to the rest."""

from __future__ import annotations

from tradesaga.domain.orders import Order


def ids_of(order: Order) -> dict[str, str]:
    """Of an order: what to bind the log to, or to name in a line of it."""
    decision = str(order.decision_id)
    ids = {
        "saga_id": str(order.saga_id),
        "decision_id": decision,
        "correlation_id": decision,
        "order_id": order.client_order_id,
    }
    return ids if order.cycle_id is None else {**ids, "cycle_id": str(order.cycle_id)}
