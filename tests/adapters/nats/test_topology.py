"""Names of subjects, streams and consumers."""

from __future__ import annotations

import pytest

from tradesaga.adapters.nats.topology import (
    covers,
    durable_name,
    streams,
    subject_of,
    subscriptions,
)

CONFIGURED = (
    "ai-trader.system.heartbeat",
    "ai-trader.market.session.*",
    "ai-trader.trade.order.*",
    "ai-trader.ai.decision.*",
)


@pytest.mark.parametrize(
    ("prefix", "subject"),
    [
        ("ai-trader.orchestrator", "ai-trader.orchestrator.cycle.started"),
        ("", "orchestrator.cycle.started"),
        ("a.b.c", "a.b.c.cycle.started"),
    ],
)
def test_the_prefix_replaces_the_domain_word(prefix: str, subject: str) -> None:
    assert subject_of(prefix, "orchestrator.cycle.started") == subject


def test_the_errors_and_the_named_heartbeats_are_always_heard() -> None:
    assert subscriptions(CONFIGURED) == (
        *CONFIGURED,
        "ai-trader.system.heartbeat.>",
        "ai-trader.system.error.occurred",
    )
    assert subscriptions(["trade.order.*"]) == (
        "trade.order.*",
        "system.heartbeat.>",
        "system.error.occurred",
    )


def test_nothing_is_heard_twice() -> None:
    assert subscriptions(["ai-trader.system.>", "ai-trader.system.heartbeat"]) == (
        "ai-trader.system.>",
    )


def test_the_six_streams() -> None:
    found = {plan.name: plan.subject for plan in streams("ai-trader.orchestrator", CONFIGURED)}
    assert found == {
        "AI_TRADER_MARKET": "ai-trader.market.>",
        "AI_TRADER_TRADE": "ai-trader.trade.>",
        "AI_TRADER_AI": "ai-trader.ai.>",
        "AI_TRADER_ANALYTICS": "ai-trader.analytics.>",
        "AI_TRADER_ORCHESTRATOR": "ai-trader.orchestrator.>",
        "AI_TRADER_SYSTEM": "ai-trader.system.>",
    }


def test_bare_streams() -> None:
    found = {plan.name: plan.subject for plan in streams("", ["trade.order.*"])}
    assert found == {
        name: f"{name.lower()}.>"
        for name in ("MARKET", "TRADE", "AI", "ANALYTICS", "ORCHESTRATOR", "SYSTEM")
    }


def test_both_sets_when_we_listen_elsewhere_than_we_publish() -> None:
    names = {plan.name for plan in streams("ai-trader.orchestrator", ["trade.order.*"])}
    assert len(names) == 12
    assert {"AI_TRADER_TRADE", "TRADE"} <= names


def test_a_prefix_of_another_name_has_its_stream() -> None:
    found = {plan.name: plan.subject for plan in streams("x.agent", ())}
    assert found["X_ORCHESTRATOR"] == "x.agent.>"


def test_durable_names_are_legal_and_different() -> None:
    subjects = ["a.b", "a_b", "a.*", "a.>", "a-b"]
    names = [durable_name("tradesaga", subject) for subject in subjects]
    assert names == [
        "tradesaga_a_b",
        "tradesaga_a__b",
        "tradesaga_a_ANY",
        "tradesaga_a_ALL",
        "tradesaga_a-b",
    ]


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("a.>", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.*", "a.>", False),
        ("a.b", "a.*", False),
        ("a.*.c", "a.b.c", True),
        (">", "a", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
    ],
)
def test_covers(wide: str, narrow: str, covered: bool) -> None:
    assert covers(wide, narrow) is covered
