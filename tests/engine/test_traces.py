"""One decision traced from its question to its fill, whoever dies on the way."""

from __future__ import annotations

from dataclasses import replace

from tests.domain.trades import DECISION
from tests.engine.place import Place, carried_out
from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tests.engine.test_crash import STORIES, commits_of, died, settled
from tests.spans import Spans, all_text, facts_of, id_of, links_of, parent_of, trace_of
from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import DecisionGenerated
from tradesaga.domain.trace_context import TraceContext, trace_about
from tradesaga.testing.venue_script import refuse

CANARY = "CANARY at 123.45 for 6789"
STEPS = [
    "fetch_market_data", "evaluate_positions", "generate_decisions", "validate_decisions",
    "execute_orders", "update_state",
]  # fmt: skip


async def test_a_decision_is_one_trace_and_its_cycle_another_that_are_linked() -> None:
    place, bus = new_place("ACME")
    spans = Spans()
    place.tracer = spans.tracer
    asked_by = bus.decide

    def decide(number: int, symbol: str) -> Proposal | None:
        said = asked_by(number, symbol)
        return None if said is None else replace(said, reasoning=CANARY, model=CANARY)

    bus.decide = decide
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
    [bought] = decisions(place)
    [saga] = [spans.only("saga")]
    begins = trace_about(str(bought.id))
    assert begins is not None

    decision, verdict = spans.only("decision"), spans.only("risk.verdict")
    assert (trace_of(decision), id_of(decision)) == (begins.trace_id, begins.span_id)
    assert decision.parent is None
    for span in (verdict, saga, *spans.ended("consume")):
        assert (trace_of(span), parent_of(span)) == (begins.trace_id, begins.span_id), span.name
    assert facts_of(decision)["tradesaga.outcome"] == "answered"
    assert (decision.end_time or 0) >= (decision.start_time or 0) > 0
    assert facts_of(verdict)["tradesaga.verdict"] == "allowed"
    assert facts_of(saga)["tradesaga.status"] == "completed"
    commands = [facts_of(step)["tradesaga.command"] for step in spans.ended("saga.step")]
    assert commands[0] == "Submit"
    assert {parent_of(step) for step in spans.ended("saga.step")} == {id_of(saga)}

    [root] = [span for span in spans.ended("cycle") if trace_of(span) == cycle.id.hex]
    steps = [span for span in spans.ended("cycle.step") if parent_of(span) == id_of(root)]
    assert [facts_of(step)["tradesaga.step"] for step in steps] == STEPS
    in_cycle = {id_of(root), *map(id_of, steps)}
    for span in (decision, verdict, saga):
        assert in_cycle & set(links_of(span)), span.name

    ids = {
        "tradesaga.agent_id": None,
        "tradesaga.cycle_id": str(cycle.id),
        "tradesaga.decision_id": str(bought.id),
        "tradesaga.correlation_id": str(bought.id),
        "tradesaga.saga_id": facts_of(saga)["tradesaga.saga_id"],
        "tradesaga.order_id": place.venue.submits[0],
    }
    for span in (saga, *spans.ended("saga.step")):
        facts = facts_of(span)
        assert {name: facts[name] for name, wanted in ids.items() if wanted is not None} == {
            name: wanted for name, wanted in ids.items() if wanted is not None
        }
    assert spans.ended("journal.commit")
    assert "CANARY" not in all_text(spans.ended())


async def test_a_question_that_nobody_answers_ends_its_span() -> None:
    place, bus = new_place("ACME")
    spans = Spans()
    place.tracer = spans.tracer
    bus.decide = lambda _number, _symbol: None
    async with trading(place) as parts:
        await analysed(place, parts)
    assert facts_of(spans.only("decision"))["tradesaga.outcome"] == "unanswered"


async def test_the_next_process_goes_on_in_the_trace_of_the_one_that_died() -> None:
    story = STORIES["answer lost"]
    first, _ = await commits_of(story)
    place, before, after = Place(), Spans(), Spans()
    place.venue.script(*story.script)
    place.tracer = before.tracer
    await died(place, first + 1, durable=False)  # the intent is written, what became of it is not
    place.tracer = after.tracer
    await settled(place)
    begins = trace_about(str(DECISION.id))
    assert begins is not None
    sagas = [*before.ended("saga"), *after.ended("saga")]
    assert len(sagas) == 2
    assert {(trace_of(one), parent_of(one)) for one in sagas} == {(begins.trace_id, begins.span_id)}
    ids = [
        {name: facts_of(one)[f"tradesaga.{name}"] for name in ("saga_id", "decision_id")}
        for one in sagas
    ]
    assert ids[0] == ids[1]


async def test_what_the_venue_says_does_not_leave_with_a_span() -> None:
    place = Place()
    spans = Spans()
    place.tracer = spans.tracer
    place.venue.script(refuse(CANARY), refuse(CANARY))
    async with place.running() as parts:
        await carried_out(place, parts)
    assert spans.ended("saga.step")
    assert "CANARY" not in all_text(spans.ended())
    assert "CANARY" not in repr(place.metrics.seen), "the labels of metrics"
    assert "202" not in str([facts_of(one) for one in spans.ended("saga")]), "the reservation"


async def test_what_nobody_asked_begins_its_own_trace_and_names_the_message() -> None:
    place, bus = new_place("ACME")
    spans = Spans()
    place.tracer = spans.tracer
    theirs = TraceContext(trace_id="ab" * 16, span_id="cd" * 8, sampled=True)
    async with trading(place) as parts:
        await analysed(place, parts)
        said = bus.proposal(9, "ACME", "hold")
        delivery = next(iter(bus._handed))  # the answer of before, as a pattern
        assert delivery.incoming is not None
        content = DecisionGenerated(proposal=said)
        incoming = replace(
            delivery.incoming, event_id="e-9", correlation_id=None, content=content, trace=theirs
        )
        bus.deliver(incoming)
        await bus.until_idle()
    heard = spans.ended("consume")[-1]
    verdict = spans.ended("risk.verdict")[-1]
    assert (trace_of(heard), parent_of(heard)) == (theirs.trace_id, theirs.span_id)
    assert trace_of(verdict) == decisions(place)[-1].id.hex
    assert verdict.parent is None
    assert theirs.span_id in links_of(verdict)
