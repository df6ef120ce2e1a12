"""The two processes of ours that `tradesaga up` supervises: the orchestrator and the neighbours.

What they are told beside the configuration goes by environment where it is an address or a secret,
since every user of the machine can read a command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, assert_never

from tradesaga.bootstrap import translation
from tradesaga.bootstrap.asking import answers_ok
from tradesaga.bootstrap.databases import Database, EventBus
from tradesaga.bootstrap.simulated import START_CASH, VISIBILITY_LAG_MS
from tradesaga.config import Settings
from tradesaga.domain.signed_decisions import SigningMode
from tradesaga.embedded.program import Program
from tradesaga.embedded.state import Ports, write_private
from tradesaga.paper.places import CLOCK_FILE
from tradesaga.paper.settings import Dialect

GRACE_SECONDS: Final = 5.0
DIALECT_FILE: Final = "dialect"
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
BARE_SUBJECTS: Final = (
    "system.heartbeat",
    "market.session.*",
    "trade.order.*",
    "ai.decision.*",
)
_COMMAND: Final = (sys.executable, "-P", "-m", "tradesaga")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Where the simulated services listen, and where they keep their state."""

    directory: Path
    trading_engine_port: int
    ai_decision_port: int
    market_data_port: int
    dialect: Dialect = Dialect.SPECIFICATION

    @property
    def trading_engine(self) -> str:
        """Address of the venue."""
        return f"http://127.0.0.1:{self.trading_engine_port}"

    @property
    def clock_file(self) -> Path:
        """The shared file of market time."""
        return self.directory / CLOCK_FILE

    def variables(self) -> Mapping[str, str]:
        """What the orchestrator needs in its environment to find them and know what they can."""
        services = "ORCHESTRATOR__SERVICES__"
        honours = self.dialect is Dialect.SPECIFICATION
        spoken = {
            f"ORCHESTRATOR__{path.upper().replace('.', '__')}": value
            for path, value in spoken_as(self.dialect).items()
        }
        return {
            **spoken,
            f"{services}TRADINGENGINE__URL": self.trading_engine,
            f"{services}AIDECISION__URL": f"http://127.0.0.1:{self.ai_decision_port}",
            f"{services}MARKETDATA__URL": f"http://127.0.0.1:{self.market_data_port}",
            f"{services}TRADINGENGINE__CLIENTORDERID": "honoured" if honours else "ignored",
            f"{services}TRADINGENGINE__VISIBILITYLAG": str(VISIBILITY_LAG_MS),
        }


def spoken_as(dialect: Dialect) -> Mapping[str, str]:
    """The keys of the configuration by which the orchestrator speaks the neighbours' dialect."""
    match dialect:
        case Dialect.SPECIFICATION:
            return {}
        case Dialect.PLATFORM:
            services = ("tradingEngine", "aiDecision", "marketData")
            return {
                **{f"services.{name}.dialect": str(dialect) for name in services},
                "eventBus.publishPrefix": "",
                "eventBus.subscriptions": json.dumps(BARE_SUBJECTS),
                "trading.secondSource": "none",
            }
        case _:
            assert_never(dialect)


def dialect_of(state_dir: Path) -> Dialect:
    """What the neighbours of this state directory spoke the last time."""
    try:
        return Dialect((state_dir / DIALECT_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return Dialect.SPECIFICATION


def neighbours(state_dir: Path, dialect: Dialect = Dialect.SPECIFICATION) -> Neighbours:
    """Choose their ports, once for each state directory, and note there what they speak."""
    ports = Ports(state_dir / "ports.json")
    write_private(state_dir / DIALECT_FILE, dialect)
    return Neighbours(
        directory=state_dir / "paper",
        trading_engine_port=ports.keep_or_choose("paper_trading_engine"),
        ai_decision_port=ports.keep_or_choose("paper_ai_decision"),
        market_data_port=ports.keep_or_choose("paper_market_data"),
        dialect=dialect,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is played, and how."""

    data: Sequence[Path]
    symbols: Sequence[str]
    speed: float
    governor: bool
    neighbours: Neighbours
    has_canaries: bool = False
    """Whether the configuration asks for small first days: with simulated money it need not."""

    def variables(self) -> Mapping[str, str]:
        """What the orchestrator is told by its environment."""
        no_canary = {} if self.has_canaries else {"ORCHESTRATOR__RISK__CANARYPERCENT": "100"}
        return {**self.neighbours.variables(), **no_canary}


def paper_program(
    state_dir: Path,
    replay: Replay,
    strategies: Path | None,
    bus: EventBus,
    settings: Settings,
    environment: Mapping[str, str],
) -> Program:
    """`tradesaga paper` under supervision."""
    there = replay.neighbours
    signs = settings.security.decision_signing.mode is not SigningMode.OFF
    arguments = [
        *("--state-dir", str(there.directory)),
        *("--speed", repr(replay.speed)),
        *("--dialect", str(there.dialect)),
        *("--start-cash", str(START_CASH)),
        *("--trading-engine-port", str(there.trading_engine_port)),
        *("--ai-decision-port", str(there.ai_decision_port)),
        *("--market-data-port", str(there.market_data_port)),
        *("--subject-prefix", translation.subject_prefix(settings)),
        *(() if replay.governor else ("--no-governor",)),
        *(("--sign-decisions",) if signs else ()),
        *(() if strategies is None else ("--strategies", str(strategies))),
        *("--data", *map(str, replay.data)),
    ]

    def variables() -> Mapping[str, str]:
        return {**environment, **bus.neighbours()}

    async def alive() -> bool:
        return await answers_ok(f"{there.trading_engine}/health")

    return Program(
        "paper",
        [*_COMMAND, "paper", *arguments],
        variables,
        state_dir / "paper.log",
        alive,
        alive=alive,
        grace_seconds=GRACE_SECONDS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where the orchestrator's API listens; `url` is how this machine reaches it."""

    host: str
    port: int
    allow_remote: bool

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- to be reached, not bound
        return (
            f"http://[{reached}]:{self.port}" if ":" in reached else f"http://{reached}:{self.port}"
        )


def serve_program(
    state_dir: Path,
    api: Api,
    database: Database,
    bus: EventBus,
    replay: Replay | None,
    strategies: Path | None,
    config: Path | None,
    environment: Mapping[str, str],
    *,
    believes: Mapping[str, str] = NOTHING,
    record: Path | None = None,
    name: str = "orchestrator",
) -> Program:
    """`tradesaga serve` under supervision; `name` tells several nodes apart.

    `believes` is what it must know of the simulated ai-decision to believe it.
    """
    arguments = ["--host", api.host, "--port", str(api.port), "--state-dir", str(state_dir)]
    if config is not None:
        arguments += ["--config", str(config)]
    if record is not None:
        arguments += ["--record", str(record)]
    if api.allow_remote:
        arguments.append("--allow-remote")
    if replay is not None:
        arguments += ["--market-clock", str(replay.neighbours.clock_file)]
    if strategies is not None:
        arguments += ["--strategies", str(strategies)]
    elif replay is not None:
        arguments += ["--default-strategies-for", ",".join(replay.symbols)]

    def variables() -> Mapping[str, str]:
        of_replay = {} if replay is None else replay.variables()
        return {**environment, **database.variables(), **bus.variables(), **of_replay, **believes}

    async def alive() -> bool:
        return await answers_ok(f"{api.url}/livez")

    return Program(
        name,
        [*_COMMAND, "serve", *arguments],
        variables,
        state_dir / f"{name}.log",
        alive,
        alive=alive,
        grace_seconds=GRACE_SECONDS,
    )
