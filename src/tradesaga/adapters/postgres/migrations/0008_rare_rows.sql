-- migrate:up
-- Rows of kinds that are written now and then (strategies and what comes after them) share two
-- parameters of `apply`: arrays of {"table": name, "row": {column: value, ...}}. Such a table has a
-- unique `id uuid` and, if it is ever updated, `agent_id uuid` and `version bigint`. They are written
-- after agents and before cycles, so a foreign key of theirs to what comes later is deferred.

create function orchestration.columns_of(rows json, without text[]) returns text
language sql as $$
  select string_agg(quote_ident(name), ', ' order by place)
  from json_object_keys(rows -> 0) with ordinality as k(name, place)
  where name <> all (without);
$$;

create function orchestration.apply_rare_new(given json) returns void
language plpgsql as $$
declare name text; rows json; columns text; written bigint;
begin
  for name, rows in
    select x."table", json_agg(x.row order by x.place)
    from rows from (json_to_recordset(given) as ("table" text, row json)) with ordinality as x("table", row, place)
    group by x."table" order by min(x.place)
  loop
    columns := orchestration.columns_of(rows, '{}');
    execute format(
      'insert into orchestration.%I (%s) select %s'
      ' from json_populate_recordset(null::orchestration.%I, $1) on conflict do nothing',
      name, columns, columns, name
    ) using rows;
    get diagnostics written = row_count;
    if written <> json_array_length(rows) then perform orchestration.refuse(name, rows); end if;
  end loop;
end $$;

create function orchestration.apply_rare_set(given json) returns void
language plpgsql as $$
declare name text; rows json; columns text; written bigint;
begin
  for name, rows in
    select x."table", json_agg(x.row order by x.place)
    from rows from (json_to_recordset(given) as ("table" text, row json)) with ordinality as x("table", row, place)
    group by x."table" order by min(x.place)
  loop
    columns := orchestration.columns_of(rows, '{id, agent_id}');
    execute format(
      'update orchestration.%I t set (%s) = (select %s)'
      ' from json_populate_recordset(null::orchestration.%I, $1) as x'
      ' where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1',
      name, columns, regexp_replace(columns, '([^, ]+)', 'x.\1', 'g'), name
    ) using rows;
    get diagnostics written = row_count;
    if written <> json_array_length(rows) then perform orchestration.refuse(name, rows); end if;
  end loop;
end $$;

drop function orchestration.apply_agents(
  integer[], json, json, json, json, json, json, json, json
);

create function orchestration.apply_agents(
  counts integer[], agent_new json, agent_set json, counts_add json,
  rare_new json, rare_set json, cycle_new json, cycle_set json, cycle_log json
) returns void
language plpgsql as $$
declare written bigint;
begin
  if counts[1] > 0 then
    insert into orchestration.agents (id, name, created_at)
    select id, name, updated_at
    from json_to_recordset(agent_new) as x(id uuid, name text, updated_at timestamptz)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[1] then
      perform orchestration.refuse('agents', agent_new, 'agent_status');
    end if;
    insert into orchestration.agent_status (id, status, mode, pause_reasons, started_at,
      stopped_at, paused_at, resume_at, last_error, last_error_at, updated_at, version)
    select id, status, mode, pause_reasons, started_at,
      stopped_at, paused_at, resume_at, last_error, last_error_at, updated_at, version
    from json_populate_recordset(null::orchestration.agent_status, agent_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[1] then perform orchestration.refuse('agent_status', agent_new); end if;
  end if;
  if counts[2] > 0 then
    update orchestration.agent_status t set status = x.status, mode = x.mode,
      pause_reasons = x.pause_reasons, started_at = x.started_at, stopped_at = x.stopped_at,
      paused_at = x.paused_at, resume_at = x.resume_at, last_error = x.last_error,
      last_error_at = x.last_error_at, updated_at = x.updated_at, version = x.version
    from json_populate_recordset(null::orchestration.agent_status, agent_set) as x
    where t.id = x.id and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[2] then perform orchestration.refuse('agent_status', agent_set); end if;
    update orchestration.agents t set name = x.name
    from json_to_recordset(agent_set) as x(id uuid, name text)
    where t.id = x.id and t.name <> x.name;
  end if;
  if counts[3] > 0 then
    update orchestration.agent_status t set
      cycles_completed = coalesce(t.cycles_completed, 0) + x.cycles_completed,
      decisions_generated = coalesce(t.decisions_generated, 0) + x.decisions_generated,
      orders_executed = coalesce(t.orders_executed, 0) + x.orders_executed,
      errors_count = coalesce(t.errors_count, 0) + x.errors_count
    from (
      select agent_id, sum(cycles_completed) as cycles_completed,
        sum(decisions_generated) as decisions_generated,
        sum(orders_executed) as orders_executed, sum(errors_count) as errors_count
      from json_to_recordset(counts_add) as r(agent_id uuid, cycles_completed integer,
        decisions_generated integer, orders_executed integer, errors_count integer)
      group by agent_id
    ) x
    where t.id = x.agent_id;
    get diagnostics written = row_count;
    if written <> (
      select count(distinct agent_id) from json_to_recordset(counts_add) as r(agent_id uuid)
    ) then
      raise exception 'counts of an unknown agent' using errcode = 'foreign_key_violation';
    end if;
  end if;
  if counts[4] > 0 then perform orchestration.apply_rare_new(rare_new); end if;
  if counts[5] > 0 then perform orchestration.apply_rare_set(rare_set); end if;
  if counts[6] > 0 then
    insert into orchestration.cycles (id, agent_id, type, triggered_by, scheduled_at, started_at,
      epoch, status, cursor, completed_at, duration_ms, strategies_processed,
      decisions_generated, orders_submitted, orders_filled, errors, metadata, version)
    select id, agent_id, type, triggered_by, scheduled_at, started_at,
      epoch, status, cursor, completed_at, extract(epoch from completed_at - started_at) * 1000,
      strategies_processed, decisions_generated, orders_submitted, orders_filled, errors,
      metadata, version
    from json_populate_recordset(null::orchestration.cycles, cycle_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[6] then perform orchestration.refuse('cycles', cycle_new); end if;
  end if;
  if counts[7] > 0 then
    update orchestration.cycles t set status = x.status, cursor = x.cursor,
      completed_at = x.completed_at,
      duration_ms = extract(epoch from x.completed_at - t.started_at) * 1000,
      strategies_processed = x.strategies_processed, decisions_generated = x.decisions_generated,
      orders_submitted = x.orders_submitted, orders_filled = x.orders_filled, errors = x.errors,
      metadata = x.metadata, version = x.version
    from json_populate_recordset(null::orchestration.cycles, cycle_set) as x
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[7] then perform orchestration.refuse('cycles', cycle_set); end if;
  end if;
  if counts[8] > 0 then
    insert into orchestration.cycle_logs (agent_id, cycle_id, level, message, context, timestamp)
    select agent_id, cycle_id, level, message, context, timestamp
    from json_populate_recordset(null::orchestration.cycle_logs, cycle_log);
  end if;
end $$;

-- migrate:down
-- forward only: restore a backup instead
