"""The schema: 0001 is the specification's, later files only add, and the runner is careful."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from tradesaga.adapters.postgres.migrate import SCHEMA, migrate, migrations, status
from tradesaga.domain.errors import Invalid, Unavailable

FIRST = migrations()[0]
ALL = [migration.version for migration in migrations()]

# Typed from the specification: name, type, nullable, default.
COLUMNS = {
    "agent_status": """
        id uuid no gen_random_uuid()
        status character_varying(20) no 'stopped'::character_varying
        started_at timestamp_with_time_zone yes -
        stopped_at timestamp_with_time_zone yes -
        paused_at timestamp_with_time_zone yes -
        resume_at timestamp_with_time_zone yes -
        mode character_varying(20) yes 'normal'::character_varying
        cycles_completed integer yes 0
        decisions_generated integer yes 0
        orders_executed integer yes 0
        errors_count integer yes 0
        last_error text yes -
        last_error_at timestamp_with_time_zone yes -
        updated_at timestamp_with_time_zone yes now()
    """,
    "cycles": """
        id uuid no gen_random_uuid()
        type character_varying(20) no -
        status character_varying(20) no 'started'::character_varying
        started_at timestamp_with_time_zone yes now()
        completed_at timestamp_with_time_zone yes -
        duration_ms integer yes -
        strategies_processed integer yes 0
        decisions_generated integer yes 0
        orders_submitted integer yes 0
        orders_filled integer yes 0
        errors jsonb yes '[]'::jsonb
        metadata jsonb yes -
        created_at timestamp_with_time_zone yes now()
    """,
    "cycle_logs": """
        id bigint no nextval('orchestration.cycle_logs_id_seq'::regclass)
        cycle_id uuid yes -
        level character_varying(10) no -
        message text no -
        context jsonb yes -
        timestamp timestamp_with_time_zone yes now()
    """,
    "strategy_schedules": """
        id uuid no gen_random_uuid()
        strategy_id uuid no -
        schedule_type character_varying(20) no -
        schedule_value character_varying(100) no -
        enabled boolean yes true
        last_run_at timestamp_with_time_zone yes -
        next_run_at timestamp_with_time_zone yes -
        created_at timestamp_with_time_zone yes now()
        updated_at timestamp_with_time_zone yes now()
    """,
}
INDEXES = {
    "CREATE INDEX idx_cycles_started ON orchestration.cycles USING btree (started_at)",
    "CREATE INDEX idx_cycles_status ON orchestration.cycles USING btree (status)",
    "CREATE INDEX idx_logs_cycle ON orchestration.cycle_logs USING btree (cycle_id)",
    "CREATE INDEX idx_schedules_next ON orchestration.strategy_schedules USING btree (next_run_at)"
    " WHERE (enabled = true)",
    *(
        f"CREATE UNIQUE INDEX {table}_pkey ON orchestration.{table} USING btree (id)"
        for table in COLUMNS
    ),
}
CONSTRAINTS = {
    ("cycle_logs", "FOREIGN KEY (cycle_id) REFERENCES orchestration.cycles(id)"),
    *((table, "PRIMARY KEY (id)") for table in COLUMNS),
}
_COLUMNS_SQL = """
select a.attname || ' ' || replace(format_type(a.atttypid, a.atttypmod), ' ', '_') || ' '
  || case when a.attnotnull then 'no' else 'yes' end || ' '
  || coalesce(replace(pg_get_expr(d.adbin, d.adrelid), ' ', '_'), '-')
from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = ('orchestration.' || $1)::regclass and a.attnum > 0
order by a.attnum
"""
_CONSTRAINTS_SQL = """
select conrelid::regclass::text as table, pg_get_constraintdef(oid) as definition
from pg_constraint
where connamespace = 'orchestration'::regnamespace and contype in ('p', 'f', 'u')
"""


def _typed(table: str) -> list[str]:
    return [line.strip() for line in COLUMNS[table].strip().splitlines()]


async def _found(
    dsn: str,
) -> tuple[dict[str, list[str]], set[str], set[tuple[str, str]], set[str]]:
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select tablename from pg_tables where schemaname = 'orchestration'"
        )
        columns = {
            table: [row[0] for row in await connection.fetch(_COLUMNS_SQL, table)]
            for table in COLUMNS
        }
        indexes = await connection.fetch(
            "select indexdef from pg_indexes where schemaname = 'orchestration'"
        )
        constraints = await connection.fetch(_CONSTRAINTS_SQL)
    finally:
        await connection.close()
    return (
        columns,
        {row[0] for row in indexes},
        {(row["table"].removeprefix("orchestration."), row["definition"]) for row in constraints},
        {row[0] for row in tables},
    )


async def test_the_first_migration_is_the_specification(empty_dsn: str) -> None:
    assert await migrate(empty_dsn, known=[FIRST], schema=SCHEMA) == ["0001"]
    columns, indexes, constraints, tables = await _found(empty_dsn)
    assert tables == set(COLUMNS)
    assert columns == {table: _typed(table) for table in COLUMNS}
    assert indexes == INDEXES
    assert constraints == CONSTRAINTS


async def test_later_migrations_only_add(database_dsn: str) -> None:
    columns, indexes, constraints, tables = await _found(database_dsn)
    assert tables >= set(COLUMNS)
    for table in COLUMNS:
        typed = _typed(table)
        assert columns[table][: len(typed)] == typed
    assert indexes >= INDEXES
    assert constraints >= CONSTRAINTS


async def test_inserts_of_the_specification_still_work(database_dsn: str) -> None:
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("""
        insert into orchestration.agent_status default values;
        insert into orchestration.cycles (type) values ('analysis');
        insert into orchestration.cycle_logs (cycle_id, level, message)
          select id, 'info', 'm' from orchestration.cycles;
        insert into orchestration.strategy_schedules (strategy_id, schedule_type, schedule_value)
          values (gen_random_uuid(), 'cron', '0 9 * * 1-5');
    """)
    await connection.close()


async def test_every_table_of_the_design_exists(database_dsn: str) -> None:
    connection = await asyncpg.connect(database_dsn)
    rows = await connection.fetch(
        "select relname from pg_class"
        " where relnamespace = 'orchestration'::regnamespace and relkind in ('r', 'v')"
    )
    await connection.close()
    wanted = (
        "agents strategies decisions orders fills trades positions reservations sagas saga_steps"
        " outbox inbox audit_log leases checkpoints heads dead_letters relay_cursor"
    )
    assert set(wanted.split()) <= {row[0] for row in rows}


async def test_applied_once_and_then_left_alone(empty_dsn: str) -> None:
    assert [s.applied_at for s in await status(empty_dsn, schema=SCHEMA)] == [None] * len(ALL)
    assert await migrate(empty_dsn, schema=SCHEMA) == ALL
    assert await migrate(empty_dsn, schema=SCHEMA) == ()
    stand = await status(empty_dsn, schema=SCHEMA)
    assert [s.version for s in stand] == ALL
    assert all(s.applied_at is not None for s in stand)


async def test_nothing_to_do_does_nothing(database_dsn: str) -> None:
    for _ in range(2):
        assert await migrate(database_dsn, schema=SCHEMA) == ()


async def test_two_at_once_do_the_work_once(empty_dsn: str) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(migrate(empty_dsn, schema=SCHEMA)) for _ in range(4)]
    assert sorted(len(task.result()) for task in tasks) == [0, 0, 0, len(ALL)]


async def test_a_changed_file_is_refused_by_name(database_dsn: str) -> None:
    changed = [*migrations()[:-1], replace(migrations()[-1], checksum="0" * 64)]
    name = f"{changed[-1].version}_{changed[-1].name}.sql was changed"
    with pytest.raises(Invalid, match=name):
        await migrate(database_dsn, known=changed, schema=SCHEMA)
    with pytest.raises(Invalid, match=name):
        await status(database_dsn, known=changed, schema=SCHEMA)


async def test_a_newer_database_is_refused(database_dsn: str) -> None:
    with pytest.raises(Invalid, match=rf"{ALL[-1]}.*unknown to this program: a newer one"):
        await migrate(database_dsn, known=migrations()[:-1], schema=SCHEMA)


async def test_a_failing_migration_leaves_nothing_of_itself(empty_dsn: str) -> None:
    bad = replace(
        FIRST, version="0002", name="bad", sql="create table orchestration.x (); select 1 / 0;"
    )
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn, known=[FIRST, bad], schema=SCHEMA)
    *_, tables = await _found(empty_dsn)
    assert tables == set(COLUMNS)
    assert [
        s.applied_at is None for s in await status(empty_dsn, known=[FIRST, bad], schema=SCHEMA)
    ] == [
        False,
        True,
    ]


async def test_another_schema_name_is_a_schema_of_its_own(empty_dsn: str) -> None:
    assert await migrate(empty_dsn, schema="desk_2") == ALL
    assert await migrate(empty_dsn, schema=SCHEMA) == ALL
    connection = await asyncpg.connect(empty_dsn)
    rows = await connection.fetch(
        "select schemaname, count(*) from pg_tables where schemaname in ('desk_2', 'orchestration')"
        " group by 1"
    )
    await connection.close()
    assert len({row["count"] for row in rows}) == 1
    assert len(rows) == 2


@pytest.mark.parametrize("schema", ["Desk", 'a"b', "a b", "", "x" * 64])
async def test_an_odd_schema_name_is_refused(schema: str) -> None:
    with pytest.raises(Invalid, match="no plain name"):
        await migrate("postgresql://nowhere", schema=schema)


async def test_no_server_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://x@/x?host=/nonexistent", schema=SCHEMA)
