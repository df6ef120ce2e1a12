"""Files good and bad: what is taken, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tradesaga.config import Loaded, load
from tradesaga.domain.errors import Invalid

SERVERS = {"DB_HOST": "h", "DB_PORT": "5432", "NATS_URL": "nats://h:4222"}


def loaded(tmp_path: Path, text: str, **environment: str) -> Loaded:
    path = tmp_path / "x.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load(path, SERVERS | environment)


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        loaded(tmp_path, text, **environment)
    return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]


BAD_VALUES = [
    ("cycles.analysis.interval", '"60s"', '"60s" is not a whole number of milliseconds', "60000"),
    ("cycles.analysis.interval", '"60000"', "is not a whole number of", "write 60000"),
    ("cycles.analysis.interval", "60000.0", "60000.0 is not a whole number", "write 60000"),
    ("cycles.analysis.interval", "1m", '"1m" is not a whole number', "write 60000"),
    ("cycles.analysis.interval", "true", "true is not a whole number", "write 100 to"),
    ("cycles.analysis.interval", "60", "60 is below 100", "write 100 to 86400000"),
    ("cycles.analysis.interval", "0", "0 is below 100", "write 100 to 86400000"),
    ("cycles.analysis.interval", "-1", "-1 is below 100", "write 100 to 86400000"),
    ("cycles.analysis.interval", "86400001", "is above 86400000", "write 100 to 86400000"),
    ("cycles.analysis.interval", "", "has no value", "remove the key"),
    ("cycles.analysis.interval", "[1]", "a list is not a whole number", "write 100 to"),
    ("cycles.analysis.interval", "{a: 1}", "keys stand where a value belongs", "write one"),
    ("cycles.analysis.maxConcurrent", "0", "0 is below 1", "write 1 to 64"),
    ("cycles.rebalance.schedule", '"@daily"', "five fields", "minute, hour"),
    ("cycles.rebalance.schedule", '"0 0 9 * * 1"', "five fields", "minute, hour"),
    ("cycles.rebalance.schedule", '"0 0 31 2 *"', "is not a cron expression", "minute, hour"),
    ("cycles.rebalance.schedule", '"61 9 * * *"', "is not a cron expression", "minute, hour"),
    ("server.port", "70000", "70000 is above 65535", "write 0 to 65535"),
    ("server.port", '"3005"', '"3005" is not a whole number', "write 0 to 65535"),
    ("server.host", '"a b"', "is not a host", "write a host name"),
    ("trading.marketHoursOnly", "yes", '"yes" is not a truth value', "write true or false"),
    ("trading.marketHoursOnly", "1", "1 is not a truth value", "write true or false"),
    ("trading.regularStart", '"9:30"', "is not a time of day", '"HH:MM"'),
    ("trading.regularStart", '"24:00"', "is not a time of day", '"HH:MM"'),
    ("trading.timezone", "Mars/Base", "is not a known time zone", "IANA"),
    ("trading.timezone", "America", "is not a known time zone", "IANA"),
    ("trading.timezone", "../passwd", "is not a known time zone", "IANA"),
    ("sagas.tradeExecution.retries", "-1", "-1 is below 0", "write 0 to 100"),
    ("database.port", "0", "0 is below 1", "write 1 to 65535"),
    ("database.schema", '"a; drop"', "is not a plain schema name", "lower-case"),
    ("database.schema", "Orders", "is not a plain schema name", "lower-case"),
    ("database.schema", "pg_x", "is not a plain schema name", "lower-case"),
    ("database.schema", "public", "is not a plain schema name", "not public"),
    ("database.name", '""', "is not a name", "write 1 to 63"),
    ("database.password", "12345", "the value is not text", "put it in quotes"),
    ("eventBus.url", "http://h", "is not the address of a NATS server", "write nats://"),
    ("eventBus.publishPrefix", "a.*", "is not a subject to publish below", "without wildcards"),
    ("eventBus.subscriptions", "a.b", '"a.b" is not a list', "write a list"),
    ("services.tradingEngine.url", "127.0.0.1:3001", "is not an address", "write http://"),
    ("services.tradingEngine.url", "http://u:p@h", '"http://***@h" is not', "write http://"),
    ("services.tradingEngine.clientOrderId", "maybe", "is unknown", "honoured or ignored"),
    ("risk.profiles.normal.positionPercent", "0", "0 is out of range", "above 0, up to 100"),
    ("risk.profiles.normal.positionPercent", "100.1", "is out of range", "above 0, up to 100"),
    ("risk.profiles.normal.positionPercent", ".nan", "is not a decimal", "above 0, up to 100"),
    ("risk.profiles.normal.positionPercent", "1_0", "is not a decimal", "above 0, up to 100"),
    ("risk.profiles.normal.confidenceMin", "1.1", "is out of range", "above 0, up to 1"),
    ("risk.allowShort", "off", '"off" is not a truth value', "write true or false"),
    ("agent.id", "abc", "is not a UUID", "default agent"),
    ("agent.id", "7", "is not a UUID", "default agent"),
    ("logging.level", "INFO", "is unknown", "write debug or info or warning or error"),
    # two keys that do not go together
    ("trading.regularEnd", '"09:30"', '"09:30" is not before regularEnd', 'before "09:30"'),
    ("trading.preMarketStart", '"10:00"', "is after regularStart", 'at most "09:30"'),
    ("trading.afterHoursEnd", '"15:00"', "is before regularEnd", 'at least "16:00"'),
    ("cycles.analysis.decisionTimeout", "120001", "longer than the cycle's", "most 120000"),
    ("sagas.tradeExecution.fillTimeout", "60001", "longer than the saga's", "at most 60000"),
    ("lease.renew", "1001", "leaves no second try", "at most 1000"),
    ("risk.ordersPerMinute", "201", "is above ordersPerDay", "at most 200"),
    ("risk.entryCutoff", "3600001", "is above 3600000", "write 0 to 3600000"),
    ("risk.profiles.normal.orderNotionalPercent", "11", "above positionPercent", "at most 10"),
    ("risk.profiles.normal.positionPercent", "81", "above exposurePercent", "at most 80"),
]


@pytest.mark.parametrize(("key", "value", "what", "remedy"), BAD_VALUES)
def test_a_bad_value_is_named_with_its_remedy(
    tmp_path: Path, key: str, value: str, what: str, remedy: str
) -> None:
    parts = ["orchestrator", *key.split(".")]
    lines = [f"{'  ' * depth}{part}:" for depth, part in enumerate(parts)]
    (problem,) = problems(tmp_path, "\n".join(lines) + f" {value}\n")
    told, _, rest = problem.partition("; write") if "; write" in problem else (problem, "", "")
    assert told.startswith("orchestrator.")
    assert what in problem
    assert remedy in problem
    assert f"(file x.yaml line {len(parts)})" in problem or "(default)" in problem
    assert rest or "; " in problem


def test_the_wording_of_a_problem(tmp_path: Path) -> None:
    text = 'orchestrator:\n  cycles:\n    analysis:\n      interval: "60s"\n'
    assert problems(tmp_path, text) == [
        'orchestrator.cycles.analysis.interval: "60s" is not a whole number of milliseconds '
        "(file x.yaml line 4); write 60000"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orchestrator: {serve: 1}", "orchestrator.serve: unknown key"),
        ("orchestrator: {serve: 1}", "did you mean server?"),
        ("orchestrator: {lease: {TTL: 1}}", "did you mean ttl?"),
        ("orchestrator: {cycles: {analysis: {max_concurrent: 1}}}", "did you mean maxConcurrent?"),
        ("orchestrator: {lease: {fillTimeout: 1}}", "orchestrator.sagas.tradeExecution.fill"),
        ("orchestrator: {lease: {zzz: 1}}", "known here: ttl, renew"),
        ("orchestrator: {}\nserver: {port: 1}", "server: unknown key (file x.yaml line 2)"),
        ("server: {port: 1}", "orchestrator: the key is missing"),
        ("orchestrator: {server: 3005}", "write its keys below it: port, host"),
        ("orchestrator: 1", "1 stands where a section belongs"),
        ("orchestrator: {database: 'pg://u:secret@h'}", '"pg://***@h" stands where'),
        ("orchestrator:\n  lease: {}\n  lease: {}", "line 3: the key lease stands in line 2"),
        ("", "holds no settings"),
        ("- 1", "holds no settings"),
        ("orchestrator: [", "x.yaml line 1 column 16: is not YAML"),
        ("orchestrator:\n\tserver: 1", "x.yaml line 2 column 1: is not YAML"),
        ("orchestrator: {}\n---\na: 1", "x.yaml line 2 column 1: is not YAML"),
        ("a: &a 1\nb: *a", "anchors and aliases are not taken"),
        ("orchestrator: !!python/name:os.system", "tags are not taken"),
        ("a: \x00", "is not YAML"),
        ("[" * 5000, "nested too deeply"),
        ("? [a]\n: 1", "a key is not text"),
        ("orchestrator: {eventBus: {subscriptions: [[a]]}}", "a list within a list"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems(tmp_path, text))


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = """\
        orchestrator:
          server:
            prot: 1
            port: x
          cycles:
            analysis: {interval: 1, timeout: 2.5}
          database:
            host: "${NOPE}.${NEITHER}"
          eventBus:
            subscriptions:
              - a.*
              - a.*
              - b..c
          lease: {renew: 1500}
        """
    found = problems(tmp_path, text, ORCHESTRATOR__TYPO="1")
    assert [line.partition(": ")[0] for line in found] == [
        "orchestrator.server.prot",
        "ORCHESTRATOR__TYPO",
        "orchestrator.database.host",
        "orchestrator.database.host",
        "orchestrator.server.port",
        "orchestrator.cycles.analysis.interval",
        "orchestrator.cycles.analysis.timeout",
        "orchestrator.eventBus.subscriptions[1]",
        "orchestrator.eventBus.subscriptions[2]",
        "orchestrator.lease.renew",
    ]
    assert "line 12" in found[7]
    assert "line 13" in found[8]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        load(tmp_path / "none.yaml", SERVERS)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(Invalid, match="byte 3 is not UTF-8"):
        load(tmp_path / "latin.yaml", SERVERS)
    (tmp_path / "big.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(Invalid, match="larger than 1000000 bytes"):
        load(tmp_path / "big.yaml", SERVERS)


def test_what_yaml_1_1_would_misread(tmp_path: Path) -> None:
    text = """\
        orchestrator:
          trading:
            regularEnd: 16:00
          agent:
            name: no
          database:
            name: 2026-01-01
          logging:
            # level: debug
        """
    settings = loaded(tmp_path, text).settings
    assert settings.trading.regular_end.hour == 16  # 960 in base 60
    assert settings.agent.name == "no"  # False
    assert settings.database.name == "2026-01-01"  # a date
    assert settings.logging.level == "info"  # a section of comments is empty


def test_decimals_are_exact_whether_numbers_or_texts(tmp_path: Path) -> None:
    text = """\
        orchestrator:
          risk:
            profiles:
              normal: {priceDriftPercent: 0.1, positionPercent: "10.30", exposurePercent: 1e2}
        """
    normal = loaded(tmp_path, text).settings.risk.profiles.normal
    assert str(normal.price_drift_percent) == "0.1"
    assert str(normal.position_percent) == "10.30"
    assert normal.exposure_percent == 100


def test_a_default_yields_to_a_shorter_outer_deadline(tmp_path: Path) -> None:
    text = "orchestrator: {cycles: {analysis: {timeout: 20000}}}"
    assert loaded(tmp_path, text).settings.cycles.analysis.decision_timeout.seconds == 30
    text = "orchestrator: {cycles: {analysis: {timeout: 20000, decisionTimeout: 30000}}}"
    assert len(problems(tmp_path, text)) == 1
