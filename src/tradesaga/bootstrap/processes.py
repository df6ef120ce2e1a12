"""Which processes there will be, in which stages they start, and where each of them is found.

On a first start the databases come before what needs them. Later their addresses are known
beforehand, so that all start at once: importing Python takes longer than starting a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradesaga.bootstrap.children import Api, Replay, paper_program, serve_program
from tradesaga.bootstrap.databases import OtherNats, OtherPostgres, OwnNats, OwnPostgres, Plan
from tradesaga.bootstrap.signing import paper_key
from tradesaga.embedded.supervisor import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Everything that one life of `tradesaga up` runs or relies on."""

    database: OwnPostgres | OtherPostgres
    bus: OwnNats | OtherNats
    replay: Replay | None
    apis: Mapping[str, Api]
    stages: Sequence[Sequence[Service]]

    @property
    def api(self) -> Api:
        """Where the first node listens; any of them answers."""
        return next(iter(self.apis.values()))

    async def check_others(self) -> Sequence[str]:
        """Check servers that are not ours; what could not be found out about them.

        Raises Invalid, Refused, Unavailable.
        """
        if isinstance(self.database, OtherPostgres):
            await self.database.make_ready()
        return await self.bus.check() if isinstance(self.bus, OtherNats) else ()


def processes_of(
    plan: Plan,
    *,
    state_dir: Path,
    apis: Mapping[str, Api],
    replay: Replay | None,
    strategies: Path | None,
    config: Path | None,
    environment: Mapping[str, str],
    record: Path | None = None,
) -> Processes:
    """Decide; nothing is started here. `apis` are where the nodes listen, by their names."""
    settings = plan.loaded.settings
    database = OwnPostgres(state_dir, settings) if plan.embeds_postgres else OtherPostgres(settings)
    bus = OwnNats(state_dir, settings) if plan.embeds_nats else OtherNats(settings)
    servers: list[Service] = [
        one for one in (database, bus) if isinstance(one, OwnPostgres | OwnNats)
    ]
    believes = {} if replay is None else paper_key(settings, replay.neighbours.directory)
    programs: list[Service] = [
        serve_program(
            *(state_dir, api, database, bus, replay, strategies, config, environment),
            record=record,
            believes=believes,
            name=name,
        )
        for name, api in apis.items()
    ]
    if replay is not None:
        programs.insert(0, paper_program(state_dir, replay, strategies, bus, settings, environment))
    foreseeable = all(
        one.foreseeable for one in (database, bus) if isinstance(one, OwnPostgres | OwnNats)
    )
    return Processes(
        database=database,
        bus=bus,
        replay=replay,
        apis=apis,
        stages=[[*servers, *programs]] if foreseeable else [servers, programs],
    )
