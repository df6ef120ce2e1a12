"""`tradesaga paper`: the neighbour services as a process of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypedDict

import uvloop
from cyclopts import Parameter

from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import Data, Governor, Port, Speed, Spoken
from tradesaga.cli.signals import END_SECONDS_MAX, run_until_signalled
from tradesaga.config import process_environment
from tradesaga.domain.errors import Invalid
from tradesaga.embedded.state import default_state_dir
from tradesaga.paper.personality import AI_DECISION, MARKET_DATA, TRADING_ENGINE
from tradesaga.paper.process import run_paper
from tradesaga.paper.recordings import DEFAULT_DATA
from tradesaga.paper.settings import Dialect, Endpoints, PaperSettings
from tradesaga.paper.venue import VenueRules

_Signs = Annotated[bool, Parameter(help="Sign decisions; the key is in the state directory.")]


def paper(
    *,
    data: Data = None,
    speed: Speed = 60.0,
    state_dir: Path | None = None,
    nats_url: Annotated[str, Parameter(env_var="NATS_URL")] = "nats://127.0.0.1:4222",
    host: str = "127.0.0.1",
    trading_engine_port: Port = 3001,
    ai_decision_port: Port = 3002,
    market_data_port: Port = 3003,
    subject_prefix: str = "ai-trader",
    strategies: Path | None = None,
    start_cash: Decimal = Decimal(100_000),
    governor: Governor = True,
    honour_client_order_id: bool = True,
    dialect: Spoken = Dialect.SPECIFICATION,
    sign_decisions: _Signs = False,
) -> int:
    """Run trading engine, AI decisions and market data on recorded prices until SIGTERM or Ctrl-C.

    NATS_TOKEN in the environment opens NATS, or NATS_LOGINS: a JSON file of passwords by service.

    Parameters
    ----------
    data
        CSV files of minute bars and quotes, or folders of them; four SPY sessions without it.
    speed
        How many times real time, at most.
    state_dir
        Where books and market time are kept; a second start goes on there.
    nats_url
        The bus; it may come up later.
    host
        Where the three services listen.
    trading_engine_port
        Its port; 0 takes a free one, as for the others.
    ai_decision_port
        Its port.
    market_data_port
        Its port.
    subject_prefix
        What stands before the domain word of every subject.
    strategies
        A YAML or JSON file of strategies that requests may name.
    start_cash
        Dollars in the account of a new run.
    honour_client_order_id
        Keep the client's order id and refuse to take it twice.
    """
    settings = PaperSettings(
        state_dir=(state_dir or default_state_dir() / "paper").resolve(),
        nats_url=nats_url,
        **_login(process_environment()),
        data=tuple(data) if data else DEFAULT_DATA,
        speed=speed,
        governor=governor,
        host=host,
        trading_engine_port=trading_engine_port,
        ai_decision_port=ai_decision_port,
        market_data_port=market_data_port,
        subject_prefix=subject_prefix,
        strategies=strategies,
        start_cash=start_cash,
        dialect=dialect,
        signs_decisions=sign_decisions,
        rules=VenueRules(honours_client_order_id=honour_client_order_id),
    )
    return _run(settings)


class _Login(TypedDict):
    nats_token: str | None
    nats_logins: Mapping[str, str]


def _login(environment: Mapping[str, str]) -> _Login:
    """The token, and the logins of the three services out of a file that may hold more.

    Raises Invalid.
    """
    token, path = environment.get("NATS_TOKEN") or None, environment.get("NATS_LOGINS")
    if not path:
        return _Login(nats_token=token, nats_logins={})
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        services = {name: str(found[name]) for name in (TRADING_ENGINE, AI_DECISION, MARKET_DATA)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid([f"NATS_LOGINS: {path} holds no logins of the three services"]) from error
    return _Login(nats_token=token, nats_logins=services)


def _run(settings: PaperSettings) -> int:
    run_until_signalled(
        lambda stop: run_paper(settings, stop, _tell),
        loop_factory=uvloop.new_event_loop,
        end_seconds_max=END_SECONDS_MAX,
    )
    return ExitCode.OK


def _tell(endpoints: Endpoints) -> None:
    print(f"trading engine  {endpoints.trading_engine}")
    print(f"ai decision     {endpoints.ai_decision}")
    print(f"market data     {endpoints.market_data}", flush=True)
