"""Which database this is, asked as the service's role, and noted for each agent."""

from __future__ import annotations

from dataclasses import replace

from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT, change
from tradesaga.adapters.postgres.database_marks import PostgresDatabaseMarks
from tradesaga.adapters.postgres.sent_events import PostgresSentEvents
from tradesaga.domain.events import Event
from tradesaga.domain.ids import AgentId, derived
from tradesaga.ports.journal import Entry
from tradesaga.ports.stream import Told

OTHER = AgentId(derived("other"))


async def test_the_service_may_ask_which_database_it_is_and_note_it(database_dsn: str) -> None:
    async with running(database_dsn) as parts:
        marks = PostgresDatabaseMarks(parts.records._pool)
        first = await marks.look(AGENT)
        assert first is not None
        assert (first.here.timeline, first.noted, first.doubt) == (1, None, "")
        assert first.here.system == await parts.admin.fetchval(
            "select system_identifier || '/' || d.oid from pg_control_system(), pg_database d"
            " where datname = current_database()"
        )
        for agent_id in (AGENT, OTHER):
            await marks.note(agent_id, first.here)
        await marks.doubt(AGENT, "the bus has more")
        mine, theirs = await marks.look(AGENT), await marks.look(OTHER)
        assert mine is not None
        assert theirs is not None
        assert (mine.noted, mine.doubt) == (first.here, "")
        assert (theirs.noted, theirs.doubt) == (first.here, "the bus has more")
        promoted = replace(first.here, timeline=2)
        await marks.note(OTHER, promoted)
        after = await marks.look(OTHER)
        assert after is not None
        assert (after.noted, after.doubt) == (promoted, "")


async def test_a_database_that_tells_nothing_is_not_compared(database_dsn: str) -> None:
    async with running(database_dsn) as parts:
        marks = PostgresDatabaseMarks(parts.records._pool)
        await parts.admin.execute("revoke execute on function pg_control_system() from public")
        assert await marks.look(AGENT) is None


async def test_the_log_tells_whether_it_has_a_row(database_dsn: str) -> None:
    async with running(database_dsn) as parts:
        sent = PostgresSentEvents(parts.records._pool)
        event = Event(type="orchestrator.x", payload={}, correlation_id="c")
        entry = Entry(kind="x", subject="s", actor="engine", body={}, event=event)
        await parts.journal.commit(change(entries=(entry,)))
        [row] = await parts.outbox.pending(AGENT, limit=9)
        here = Told(agent_id=AGENT, sequence=row.sequence, event_id=row.event_id)
        assert await sent.has_row(here)
        assert not await sent.has_row(replace(here, sequence=row.sequence + 1))
        assert not await sent.has_row(replace(here, event_id=str(derived("other history"))))
        assert await sent.has_row(replace(here, agent_id=OTHER)), "it was never here"
