"""A log line of a cycle or a saga says which: played here, whatever is logged bears its ids."""

from __future__ import annotations

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import LogCapture

from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tradesaga.engine import cycle_runner, trade_desk


async def test_every_line_of_a_cycle_and_of_its_sagas_bears_their_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture = LogCapture()
    for module in (cycle_runner, trade_desk):
        logger = structlog.wrap_logger(
            None,
            processors=[merge_contextvars, capture],
            wrapper_class=structlog.make_filtering_bound_logger("info"),  # not another test's
        )
        monkeypatch.setattr(module, "log", logger)
    place, _ = new_place()
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
        [bought] = [d for d in decisions(place) if d.symbol == "ACME"]
    of_cycle = [line for line in capture.entries if line["event"] == "cycle ended"]
    assert [line["cycle_id"] for line in of_cycle] == [str(cycle.id)]
    of_sagas = [line for line in capture.entries if "saga_id" in line]
    assert {line["event"] for line in of_sagas} >= {"saga ended"}
    for line in of_sagas:
        assert line["cycle_id"] == str(cycle.id)
    ended = [line for line in of_sagas if line["decision_id"] == str(bought.id)]
    assert [line["correlation_id"] for line in ended] == [str(bought.id)]
